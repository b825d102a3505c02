"""Has a filter that raises on every logger and handler that there is."""

import logging
import time

from tests.misbehaviour.stage import staged

LOGGED = r"no such tenant"
BORNE_BY = "events_do_not_wait"
REQUESTS = 4
AT_ONCE = 2
STATUS = 500


def tenant(_record):
    """Fail to find out whose record it is."""
    raise LookupError("no such tenant")


def misbehave(_environ, _start_response):
    """Add it, be slow, and log."""
    for logger in [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]:
        if isinstance(logger, logging.Logger):
            logger.addFilter(tenant)
            for handler in logger.handlers:
                handler.addFilter(tenant)
    time.sleep(0.05)
    logging.getLogger("application").error("to nobody")


application = staged(misbehave)
