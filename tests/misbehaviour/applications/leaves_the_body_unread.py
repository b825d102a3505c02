"""Answers a large upload without reading any of it."""

from tests.misbehaviour.stage import staged, tell

REPORT = "benoitc/gunicorn#3301"
LOGGED = r"unread"
BORNE_BY = "bodies_first"
SENDS = 3_000_000
REQUESTS = 8
AT_ONCE = 4


def misbehave(environ, _start_response):
    """Leave it."""
    tell(environ, "unread")


application = staged(misbehave)
