"""Leaves a trace function behind, in the thread that called it, that raises in others' code."""

import sys
import threading

from tests.misbehaviour.stage import staged, tell

LOGGED = r"the tracer fails"
BORNE_BY = "exceptions"
REQUESTS = 8
AT_ONCE = 4
STATUS = 500


def tracer(frame, _event, _argument):
    """Raise, as soon as somebody else's code is traced."""
    if "tests/misbehaviour" not in frame.f_code.co_filename:
        raise RuntimeError("the tracer fails")


def misbehave(environ, _start_response):
    """Install it."""
    tell(environ, "the tracer fails in a moment")
    threading.settrace(tracer)
    sys.settrace(tracer)


application = staged(misbehave)
