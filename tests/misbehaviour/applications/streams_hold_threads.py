"""Streams events to more clients than there are threads, for longer than a call may take."""

import time

from tests.misbehaviour.stage import staged, tell

REPORT = "emmett-framework/granian#873"
LOGGED = r"the last event"
BORNE_BY = "progress"
TIMEOUT = 1
REQUESTS = 6
AT_ONCE = 6
ANSWER = "event 4\n"


def misbehave(environ, start_response):
    """Begin it."""
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    return events(environ)


def events(environ):
    """Send five events in two seconds."""
    for number in range(5):
        time.sleep(0.4)
        yield b"event %d\n" % number
    tell(environ, "the last event")


application = staged(misbehave)
