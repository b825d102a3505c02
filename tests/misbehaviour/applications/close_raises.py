"""Returns an iterable whose close raises, after all was sent."""

from tests.misbehaviour.stage import plain, staged

LOGGED = r"RuntimeError: nothing to close"
BORNE_BY = "exceptions"
REQUESTS = 6
STATUS = 200


class Body(list):
    """A body that cannot be closed."""

    def close(self):
        raise RuntimeError("nothing to close")


def misbehave(_environ, start_response):
    """Answer with it."""
    return Body([plain(start_response, b"whole\n")])


application = staged(misbehave)
