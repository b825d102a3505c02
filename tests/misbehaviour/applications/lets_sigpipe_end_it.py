"""Gives SIGPIPE its default action, as command lines do; then clients leave."""

import signal
import time

from tests.misbehaviour.stage import staged, tell

LOGGED = r"SIGPIPE has its default action"
BORNE_BY = "no_sigpipe"
REQUESTS = 4
READS = 30

signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def misbehave(environ, start_response):
    """Send on to somebody who has read all there was, and left."""
    tell(environ, "SIGPIPE has its default action")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return pieces()


def pieces():
    """Send a little, often."""
    for _ in range(50):
        yield b"a little more"
        time.sleep(0.02)


application = staged(misbehave)
