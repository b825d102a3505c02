"""Registers what hangs at the interpreter's end, after what raises there."""

import atexit
import time

from tests.misbehaviour.stage import staged, tell

REPORT = "benoitc/gunicorn#2910"
LOGGED = r"registered for the end"
BORNE_BY = "bounded_exit"

atexit.register(time.sleep, 3600)
atexit.register(lambda: 1 / 0)


def misbehave(environ, _start_response):
    """Say so."""
    tell(environ, "registered for the end")


application = staged(misbehave)
