"""Installs a log record factory that raises where it has no request."""

import logging
import time

from tests.misbehaviour.stage import staged

LOGGED = r"no request to take the tenant from"
BORNE_BY = "own_log"
REQUESTS = 4
STATUS = 500


def factory(*_arguments, **_more):
    """Fail outside of a request of its own kind."""
    raise RuntimeError("no request to take the tenant from")


def misbehave(_environ, _start_response):
    """Install it, be slow, and log."""
    logging.setLogRecordFactory(factory)
    time.sleep(0.05)
    logging.getLogger("application").error("to nobody")


application = staged(misbehave)
