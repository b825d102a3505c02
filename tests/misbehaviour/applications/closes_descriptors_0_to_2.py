"""Closes the descriptors 0 to 2, so that the next files that are opened get them."""

import os

from tests.misbehaviour.stage import staged, tell

LOGGED = r"after 0 to 2 were closed"
BORNE_BY = "own_descriptors"


def misbehave(environ, _start_response):
    """Close them."""
    os.closerange(0, 3)
    tell(environ, "after 0 to 2 were closed")


application = staged(misbehave)
