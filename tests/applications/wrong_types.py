"""Values of types that PEP 3333 does not allow.

/status-bytes, /status-int          a status that is no str
/name-bytes, /value-bytes, /value-int  a field whose parts are no str
/fields-tuple, /fields-none         fields that are no list
/body-str                           a list of str
/body-str-later                     bytes, then a str
/body-plain-str                     a str as the iterable
/body-bytes                         bytes as the iterable: its items are int
/body-bytearray                     a bytearray as a block
/write-str                          write() of a str
"""

from __future__ import annotations

STATUSES = {"/status-bytes": b"200 OK", "/status-int": 200}
FIELD = {
    "/name-bytes": (b"X-Field", "value"),
    "/value-bytes": ("X-Field", b"value"),
    "/value-int": ("X-Field", 7),
}
BODIES = {
    "/body-str": ["text"],
    "/body-str-later": [b"bytes", "text"],
    "/body-plain-str": "text",
    "/body-bytes": b"bytes",
    "/body-bytearray": [bytearray(b"bytes")],
}


def application(environ, start_response):
    """Answer with what the path names."""
    path = environ["PATH_INFO"]
    fields = [("X-Application", "wrong_types"), ("Content-Type", "text/plain")]
    if path in FIELD:
        fields.append(FIELD[path])
    if path == "/fields-tuple":
        fields = tuple(fields)
    if path == "/fields-none":
        fields = None
    write = start_response(STATUSES.get(path, "200 OK"), fields)
    if path == "/write-str":
        write("text")
    return BODIES.get(path, [b"ok\n"])
