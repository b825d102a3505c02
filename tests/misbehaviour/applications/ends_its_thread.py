"""Ends the thread that calls it, which is the server's."""

import _thread

from tests.misbehaviour.stage import staged

LOGGED = r"SystemExit"
BORNE_BY = "exceptions"
REQUESTS = 12
AT_ONCE = 4
STATUS = 500


def misbehave(_environ, _start_response):
    """End it."""
    _thread.exit()


application = staged(misbehave)
