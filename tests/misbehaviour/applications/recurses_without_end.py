"""Recurses without an end, in the call and in what an object is asked for."""

from tests.misbehaviour.stage import staged

REPORT = "benoitc/gunicorn#1034"
LOGGED = r"RecursionError"
BORNE_BY = "exceptions"
REQUESTS = 6
STATUS = 500


class Wrapper:
    """Looks every attribute up in an attribute of its own, which it lacks."""

    def __getattr__(self, name):
        return getattr(self.wrapped, name)


def misbehave(_environ, _start_response):
    """Ask for one."""
    return Wrapper().close


application = staged(misbehave)
