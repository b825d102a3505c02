"""Bodies of as many bytes as the query says, which nobody holds in memory.

/file        wsgi.file_wrapper round a file without content of its own
/generator   blocks of 64 KiB
/write       write() in blocks of 64 KiB
/yielded     how many bytes the generators of this process have yielded so far
/count       reads the request's body and answers with its length
/            does nothing
"""

from __future__ import annotations

import itertools
import tempfile

BLOCK = bytes(65536)

blocks_yielded = itertools.count()  # next() is atomic: threads share it
last_yielded = 0


def generator(size):
    """Yield `size` bytes and count them, the block that is being yielded included."""
    global last_yielded  # noqa: PLW0603
    for _ in range(size // len(BLOCK)):
        last_yielded = next(blocks_yielded) + 1
        yield BLOCK


def count(stream):
    """Return how many bytes the stream has."""
    size = 0
    while block := stream.read(len(BLOCK)):
        size += len(block)
    return size


def application(environ, start_response):
    """Answer as the path says."""
    path = environ["PATH_INFO"]
    size = int(environ["QUERY_STRING"] or 0)
    fields = [("X-Application", "huge"), ("Content-Type", "application/octet-stream")]
    if path == "/file":
        file = tempfile.TemporaryFile()  # the server closes it  # noqa: SIM115
        file.truncate(size)
        start_response("200 OK", [*fields, ("Content-Length", str(size))])
        return environ["wsgi.file_wrapper"](file)
    if path in ("/generator", "/write"):
        write = start_response("200 OK", [*fields, ("Content-Length", str(size))])
        if path == "/generator":
            return generator(size)
        for block in generator(size):
            write(block)
        return []
    answer = 0
    if path == "/yielded":
        answer = last_yielded * len(BLOCK)
    elif path == "/count":
        answer = count(environ["wsgi.input"])
    body = b"%d" % answer
    start_response("200 OK", [*fields, ("Content-Length", str(len(body)))])
    return [body]
