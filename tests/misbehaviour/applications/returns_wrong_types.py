"""Returns text, then bytes that are no list, then numbers, then nothing iterable."""

import itertools

from tests.misbehaviour.stage import staged

REPORT = "python/cpython#110001"
LOGGED = r"application_error|The application failed|Error handling request|Exception while serving"
BORNE_BY = "exceptions"
REQUESTS = 8
STATUS = 0

BODIES = itertools.cycle([["text"], b"bytes", [1, 2], 7, [bytearray(b"nearly")], [None]])


def misbehave(_environ, start_response):
    """Return the next one."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return next(BODIES)


application = staged(misbehave)
