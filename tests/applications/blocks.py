"""Lists of blocks, with and without Content-Length.

/one         one block, no length: PEP 3333 lets the server compute it
/several     three blocks, no length
/tuple       a tuple of two blocks
/with-length three blocks and their length
/same-fields one block, twice the same field name in another case
"""

from __future__ import annotations

BODIES = {
    "/one": [b"only\n"],
    "/several": [b"one\n", b"", b"two\n"],
    "/tuple": (b"one\n", b"two\n"),
    "/with-length": [b"one\n", b"", b"two\n"],
    "/same-fields": [b"only\n"],
}


def application(environ, start_response):
    """Answer with the list that the path names."""
    path = environ["PATH_INFO"]
    body = BODIES.get(path, BODIES["/one"])
    fields = [("X-Application", "blocks"), ("Content-Type", "text/plain")]
    if path == "/with-length":
        fields.append(("Content-Length", "8"))
    if path == "/same-fields":
        fields += [("X-Twice", "first"), ("x-twice", "second")]
    start_response("200 OK", fields)
    return body
