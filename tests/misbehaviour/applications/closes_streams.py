"""Closes sys.stdin, sys.stdout and sys.stderr in a request."""

import sys

from tests.misbehaviour.stage import staged, tell

LOGGED = r"after the streams were closed"
BORNE_BY = "own_stderr"
SIGNAL = "SIGUSR1"


def misbehave(environ, _start_response):
    """Close them, as often as it is asked."""
    sys.stdin.close()
    sys.stdout.close()
    sys.stderr.close()
    tell(environ, "after the streams were closed")


application = staged(misbehave)
