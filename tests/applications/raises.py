"""Raises at every moment that a server must survive.

/call            before start_response
/started         after start_response, before it returns
/first-block     in the generator, before its first block
/midstream       in the generator, after a block, length unknown
/midstream-length  the same with a stated length that is not reached
/after-write     after write() sent a block
/close           in close(), after a complete body
/not-iterable    returns None
"""

from __future__ import annotations


class OnPurposeError(Exception):
    """What every path raises."""


class FailingClose:
    """An iterable of one block whose close() raises."""

    def __iter__(self):
        """Return the iterator of a complete body."""
        return iter([b"complete\n"])

    def close(self):
        """Raise."""
        raise OnPurposeError("in close()")


def generator(blocks):
    """Yield `blocks`, then raise."""
    yield from blocks
    raise OnPurposeError("in the stream")


def application(environ, start_response):
    """Raise where the path says."""
    path = environ["PATH_INFO"]
    if path == "/call":
        raise OnPurposeError("before start_response")
    fields = [("X-Application", "raises"), ("Content-Type", "text/plain")]
    if path == "/midstream-length":
        fields.append(("Content-Length", "1000"))
    if path == "/close":
        fields.append(("Content-Length", "9"))
    write = start_response("200 OK", fields)
    if path == "/started":
        raise OnPurposeError("after start_response")
    if path == "/after-write":
        write(b"written\n")
        raise OnPurposeError("after write()")
    if path == "/close":
        return FailingClose()
    if path == "/not-iterable":
        return None
    return generator([] if path == "/first-block" else [b"begun\n"])
