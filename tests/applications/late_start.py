"""Calls start_response late: inside the generator, at its first next().

/with-length     states the length
/after-empty     yields an empty block before it calls start_response: PEP 3333 forbids it
/never           never calls it
"""

from __future__ import annotations


def application(environ, start_response):
    """Be a generator function: nothing runs before the server iterates."""
    path = environ["PATH_INFO"]
    if path == "/after-empty":
        yield b""
    if path != "/never":
        fields = [("X-Application", "late_start"), ("Content-Type", "text/plain")]
        if path == "/with-length":
            fields.append(("Content-Length", "10"))
        start_response("200 OK", fields)
    yield b"late\n"
    yield b"body\n"
