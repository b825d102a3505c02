"""Raises an exception that is its own cause's cause, two thousand exceptions long."""

from tests.misbehaviour.stage import staged

LOGGED = r"ValueError: link 1999"
BORNE_BY = "exceptions"
REQUESTS = 2
STATUS = 500


def misbehave(_environ, _start_response):
    """Build the chain, close the ring, and raise."""
    first = last = ValueError("link 0")
    for number in range(1, 2000):
        link = ValueError(f"link {number}")
        link.__cause__ = last
        last = link
    first.__cause__ = last
    raise last


application = staged(misbehave)
