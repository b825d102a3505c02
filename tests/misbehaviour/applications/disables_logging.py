"""Switches logging off for the whole process, as noisy test suites do."""

import logging

from tests.misbehaviour.stage import staged

LOGGED = r"ValueError: off, but not silent"
BORNE_BY = "own_log"
STATUS = 500


def misbehave(_environ, _start_response):
    """Switch it off and raise."""
    logging.disable(logging.CRITICAL)
    raise ValueError("off, but not silent")


application = staged(misbehave)
