"""Has a handler on the root logger whose emit raises, as one does whose network is away."""

import logging
import time

from tests.misbehaviour.stage import staged

LOGGED = r"the log's host is away"
BORNE_BY = "events_do_not_wait"
REQUESTS = 8
AT_ONCE = 4
STATUS = 500


class Away(logging.Handler):
    """Raises where logging's own handlers would call handleError."""

    def emit(self, record):
        raise ConnectionError("the log's host is away")


logging.getLogger().addHandler(Away())


def misbehave(_environ, _start_response):
    """Be slow, which the server logs, and log something."""
    time.sleep(0.05)
    logging.getLogger("application").error("to nobody")


application = staged(misbehave)
