"""Asks for more memory than any machine has."""

from tests.misbehaviour.stage import staged

REPORT = "benoitc/gunicorn#1937"
LOGGED = r"MemoryError"
BORNE_BY = "exceptions"
REQUESTS = 6
STATUS = 500


def misbehave(_environ, _start_response):
    """Ask."""
    return [bytes(1 << 60)]


application = staged(misbehave)
