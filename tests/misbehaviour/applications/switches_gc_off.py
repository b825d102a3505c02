"""Switches the collector of cycles off, and answers with streams that refer to themselves."""

import gc

from tests.misbehaviour.stage import staged, tell

LOGGED = r"closed, and not by the collector"
BORNE_BY = "explicit_close"
REQUESTS = 6
READS = 1000


class Stream:
    """Is part of a cycle, which nobody collects."""

    def __init__(self, environ):
        self.me = self
        self.environ = environ

    def __iter__(self):
        while True:
            yield b"x" * 65536

    def close(self):
        tell(self.environ, "closed, and not by the collector")


def misbehave(environ, start_response):
    """Switch it off, and begin a stream."""
    gc.disable()
    gc.unfreeze()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Stream(environ)


application = staged(misbehave)
