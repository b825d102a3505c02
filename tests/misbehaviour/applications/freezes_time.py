"""Freezes every clock of the time module, as tests do, and forgets to let time go on."""

import time

from tests.misbehaviour.stage import staged, tell

REPORT = "spulec/freezegun#502"
LOGGED = r"time stands still"
BORNE_BY = "clocks"
TIMEOUT = 1
WATCH = 3.0


def misbehave(environ, _start_response):
    """Freeze them."""
    now, monotonic = time.time(), time.monotonic()
    time.time = lambda: now
    time.monotonic = time.perf_counter = lambda: monotonic
    time.sleep = lambda _seconds: None
    tell(environ, "time stands still")


application = staged(misbehave)
