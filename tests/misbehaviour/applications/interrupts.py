"""Raises KeyboardInterrupt in a request."""

from tests.misbehaviour.stage import staged

REPORT = "cherrypy/cherrypy#1873"
LOGGED = r"KeyboardInterrupt: from a page"
BORNE_BY = "exceptions"
REQUESTS = 8
STATUS = 500


def misbehave(_environ, _start_response):
    """Do as ^C does."""
    raise KeyboardInterrupt("from a page")


application = staged(misbehave)
