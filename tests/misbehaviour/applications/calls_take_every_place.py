"""Has ten calls to one path, never seen before, take seconds at the same time."""

import time

from tests.misbehaviour.stage import staged, tell

REPORT = "benoitc/gunicorn#2562"
LOGGED = r"a long call"
BORNE_BY = "places_for_others"
REQUESTS = 10
AT_ONCE = 10


def misbehave(environ, _start_response):
    """Wait for what takes long."""
    time.sleep(2.6)
    tell(environ, "a long call")


application = staged(misbehave)
