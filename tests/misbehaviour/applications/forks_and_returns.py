"""Forks in a request; the child returns from the call, as the parent does."""

import os

from tests.misbehaviour.stage import staged, tell

REPORT = "benoitc/gunicorn#1367"
LOGGED = r"the parent goes on"
BORNE_BY = "only_the_worker_answers"
REQUESTS = 4


def misbehave(environ, _start_response):
    """Fork."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        tell(environ, "the parent goes on")


application = staged(misbehave)
