"""Iterables without a byte.

/list           []
/generator      a generator that yields nothing
/empty-strings  a list of empty blocks
/zero-length    [] with Content-Length: 0
"""

from __future__ import annotations


def nothing():
    """Yield nothing."""
    yield from ()


def application(environ, start_response):
    """Answer 200 with no body."""
    path = environ["PATH_INFO"]
    fields = [("X-Application", "empty"), ("Content-Type", "text/plain")]
    if path == "/zero-length":
        fields.append(("Content-Length", "0"))
    start_response("200 OK", fields)
    if path == "/generator":
        return nothing()
    return [b"", b""] if path == "/empty-strings" else []
