"""Returns iterables whose length lies or raises, and whose iterator is another each time."""

import itertools

from tests.misbehaviour.stage import staged

LOGGED = r"how long is it|shorter than|longer than|Content-Length|too many bytes"
BORNE_BY = "exceptions"
REQUESTS = 6
STATUS = 0


class Unknown:
    """Does not know its length."""

    def __len__(self):
        raise LookupError("how long is it")

    def __iter__(self):
        return iter([b"one", b"two"])


class Lying(Unknown):
    """Says that it has one part."""

    def __len__(self):
        return 1


BODIES = itertools.cycle([Unknown(), Lying()])


def misbehave(_environ, start_response):
    """Return the next one."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    return next(BODIES)


application = staged(misbehave)
