"""Computes in C for ever, holding the interpreter's lock: nothing in Python runs any more."""

import re

from tests.misbehaviour.stage import staged

REPORT = "benoitc/gunicorn#1693"
LOGGED = r"Timeout \(0:00|WORKER TIMEOUT"
BORNE_BY = "watch"
TIMEOUT = 1
ENDS_WORKER = True


def misbehave(_environ, _start_response):
    """Match what takes longer than the universe is old."""
    re.match(r"(a+)+$", "a" * 80 + "b")


application = staged(misbehave)
