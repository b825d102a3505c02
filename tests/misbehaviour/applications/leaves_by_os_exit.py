"""Calls os._exit in a request, as a framework did that could not start its engine."""

import os

from tests.misbehaviour.stage import staged

REPORT = "cherrypy/cherrypy#1017"
LOGGED = r"exit status 70|exited with code 70"
BORNE_BY = "replacement"
ENDS_WORKER = True


def misbehave(_environ, _start_response):
    """End the process, past every handler."""
    os._exit(70)


application = staged(misbehave)
