"""start_response with exc_info, as an error handler calls it.

/before     before anything was sent: the second status replaces the first
/in-stream  from inside the generator before its first block: the same
/after      after a block was sent: start_response re-raises, the response breaks off
/twice      a second call without exc_info: an error of the application
"""

from __future__ import annotations

import sys

OK = [("X-Application", "exc_info"), ("Content-Type", "text/plain"), ("X-Attempt", "first")]
FAILED = [("X-Application", "exc_info"), ("Content-Type", "text/plain"), ("X-Attempt", "second")]


def fail_and_restart(start_response):
    """Raise, catch, and replace the answer begun by the error's."""
    try:
        raise ValueError("on purpose")
    except ValueError:
        start_response("500 On Purpose", FAILED, sys.exc_info())


def streamed(start_response, *, first_block):
    """Yield `first_block` if there is one, then fail."""
    start_response("200 OK", OK)
    if first_block:
        yield first_block
    fail_and_restart(start_response)
    yield b"replaced\n"


def application(environ, start_response):
    """Fail in the way that the path names."""
    path = environ["PATH_INFO"]
    if path == "/in-stream":
        return streamed(start_response, first_block=b"")
    if path == "/after":
        return streamed(start_response, first_block=b"sent already\n")
    start_response("200 OK", OK)
    if path == "/twice":
        start_response("200 OK", OK)
    else:
        fail_and_restart(start_response)
    return [b"replaced\n"]
