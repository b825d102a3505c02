"""Calls sys.exit in a request: some way to stop a server from inside."""

import sys

from tests.misbehaviour.stage import staged

REPORT = "benoitc/gunicorn#2617"
LOGGED = r"SystemExit: 4"
BORNE_BY = "exceptions"
REQUESTS = 8
STATUS = 500


def misbehave(_environ, _start_response):
    """Exit."""
    sys.exit(4)


application = staged(misbehave)
