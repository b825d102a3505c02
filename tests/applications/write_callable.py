"""The imperative write() of PEP 3333.

/write           two calls, then an empty list
/mixed           one call, then an iterable
/with-length     two calls that make up the stated length
/inside          a generator that calls write() between its blocks
/empty           write(b"") first
"""

from __future__ import annotations


def application(environ, start_response):
    """Answer through write()."""
    path = environ["PATH_INFO"]
    fields = [("X-Application", "write_callable"), ("Content-Type", "text/plain")]
    if path == "/with-length":
        fields.append(("Content-Length", "14"))
    write = start_response("200 OK", fields)
    if path == "/inside":
        return interleaved(write)
    if path == "/empty":
        write(b"")
    write(b"written\n")
    if path == "/mixed":
        return [b"iterated\n", b"to the end\n"]
    write(b"twice\n")
    return []


def interleaved(write):
    """Yield blocks with calls of `write` between them."""
    yield b"one\n"
    write(b"two\n")
    yield b"three\n"
