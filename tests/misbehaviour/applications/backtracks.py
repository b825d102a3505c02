"""Matches an expression that backtracks, in C, holding the interpreter's lock for a while."""

import re
import time

from tests.misbehaviour.stage import staged, tell

LOGGED = r"backtracked"
BORNE_BY = "patient_watch"
REQUESTS = 4


def misbehave(environ, _start_response):
    """Match ever longer texts, until one takes a fifth of a second."""
    took, length = 0.0, 16
    while took < 0.2:
        began = time.perf_counter()
        re.match(r"(a+)+$", "a" * length + "b")
        took, length = time.perf_counter() - began, length + 1
    tell(environ, "backtracked")


application = staged(misbehave)
