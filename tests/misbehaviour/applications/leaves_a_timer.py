"""Leaves a timer behind that sends SIGALRM, which nobody handles: its default action is the end."""

import signal

from tests.misbehaviour.stage import staged, tell

LOGGED = r"SIGALRM"
BORNE_BY = "strays"
REQUESTS = 3


def misbehave(environ, _start_response):
    """Have it go off in a moment."""
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    tell(environ, "a timer goes off")


application = staged(misbehave)
