"""Exits in the middle of a stream, and once more where the stream is closed."""

import sys

from tests.misbehaviour.stage import staged

LOGGED = r"SystemExit: in the middle"
BORNE_BY = "exceptions"
REQUESTS = 8


class Stream:
    """Yields a block, then exits; its close does, too."""

    def __iter__(self):
        yield b"begun\n"
        sys.exit("in the middle")

    def close(self):
        sys.exit("at the end")


def misbehave(_environ, start_response):
    """Begin it."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Stream()


application = staged(misbehave)
