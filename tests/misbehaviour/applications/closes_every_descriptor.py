"""Closes every descriptor from 3 on, the server's as well, as a daemon's recipe has it."""

import os

from tests.misbehaviour.stage import staged

LOGGED = r"Bad file descriptor"
BORNE_BY = "replacement"
ENDS_WORKER = True


def misbehave(_environ, _start_response):
    """Close them, in the process that serves."""
    os.closerange(3, 4096)


application = staged(misbehave)
