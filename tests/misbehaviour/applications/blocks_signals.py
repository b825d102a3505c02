"""Blocks all signals at the import, for every thread that follows, and in each call once more."""

import signal

from tests.misbehaviour.stage import staged, tell

LOGGED = r"signals are blocked"
BORNE_BY = "unblocked_signals"
REQUESTS = 20
AT_ONCE = 8

signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def misbehave(environ, _start_response):
    """Block them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    tell(environ, "signals are blocked")


application = staged(misbehave)
