"""Logs records whose arguments do not fit their text, and one whose text cannot be made."""

import logging

from tests.misbehaviour.stage import staged

LOGGED = r"a price of %d"
BORNE_BY = "fallback_of_formatting"
REQUESTS = 3


class Mute:
    """Has no text."""

    def __str__(self):
        raise LookupError("no text")


def misbehave(_environ, _start_response):
    """Log them."""
    logging.getLogger("application").error("a price of %d", "nothing")
    logging.getLogger("application").error(Mute())


application = staged(misbehave)
