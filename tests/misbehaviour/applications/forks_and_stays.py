"""Forks in a request; the child lives on for longer than the worker."""

import os
import time

from tests.misbehaviour.stage import staged, tell

REPORT = "benoitc/gunicorn#2657"
LOGGED = r"a child stays"
BORNE_BY = "only_the_worker_answers"
REQUESTS = 3


def misbehave(environ, _start_response):
    """Fork."""
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)
    tell(environ, "a child stays")


application = staged(misbehave)
