"""Puts a stream whose every method raises in place of both standard streams."""

import sys

from tests.misbehaviour.stage import staged

LOGGED = r"OSError: no space left for what is printed"
BORNE_BY = "lenient_flush"
REQUESTS = 5
STATUS = 500


class Full:
    """Fails at whatever it is asked."""

    def write(self, text):
        raise OSError("no space left for what is printed")

    def flush(self):
        raise OSError("no space left to flush")

    def fileno(self):
        raise OSError("no descriptor left")


def misbehave(environ, _start_response):
    """Print."""
    sys.stdout = sys.stderr = Full()
    print("anything")


application = staged(misbehave)
