"""Removes and closes every log handler that there is, the last resort too."""

import logging

from tests.misbehaviour.stage import staged

LOGGED = r"ValueError: without a handler"
BORNE_BY = "own_log"
STATUS = 500


def misbehave(_environ, _start_response):
    """Remove them and raise."""
    for logger in [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]:
        if isinstance(logger, logging.Logger):
            for handler in [*logger.handlers]:
                logger.removeHandler(handler)
                handler.close()
            logger.propagate = False
    logging.lastResort = None
    logging.shutdown()
    raise ValueError("without a handler")


application = staged(misbehave)
