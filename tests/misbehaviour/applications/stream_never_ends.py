"""Streams for ever to clients that leave, and keeps a list of the streams, for itself."""

import itertools

from tests.misbehaviour.stage import staged, tell

REPORT = "Pylons/waitress#236"
LOGGED = r"closed at last"
BORNE_BY = "explicit_close"
REQUESTS = 6
AT_ONCE = 6
READS = 100_000

STREAMS = []


def misbehave(environ, start_response):
    """Begin it."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    STREAMS.append(stream(environ))
    return STREAMS[-1]


def stream(environ):
    """Count, and say when somebody ends it."""
    try:
        for number in itertools.count():
            yield b"%d\n" % number * 1000
    finally:
        tell(environ, "closed at last")


application = staged(misbehave)
