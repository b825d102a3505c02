"""Has the wall clock jump back and forth by years."""

import itertools
import time

from tests.misbehaviour.stage import staged, tell

REPORT = "benoitc/gunicorn#1709"
LOGGED = r"the clock is elsewhere"
BORNE_BY = "monotonic_clock"
REQUESTS = 6

REAL = time.time
OFFSETS = itertools.cycle([-1e9, 1e9, 0.0])


def misbehave(environ, _start_response):
    """Move it."""
    offset = next(OFFSETS)
    time.time = lambda: REAL() + offset
    tell(environ, "the clock is elsewhere")


application = staged(misbehave)
