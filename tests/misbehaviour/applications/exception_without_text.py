"""Raises an exception of its own kind, beside Exception, whose text cannot be made."""

from tests.misbehaviour.stage import staged

LOGGED = r"Mute"
BORNE_BY = "exceptions"
REQUESTS = 8
STATUS = 500


class Mute(BaseException):
    """Has no text: asking for it raises."""

    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


def misbehave(_environ, _start_response):
    """Raise it."""
    raise Mute


application = staged(misbehave)
