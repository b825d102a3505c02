"""Puts an object that can only write in place of sys.stderr and sys.stdout, at the import."""

import sys

from tests.misbehaviour.stage import staged, tell

REPORT = "GrahamDumpleton/mod_wsgi#85"
LOGGED = r"after the streams were replaced"
BORNE_BY = "own_stdout"


class Proxy:
    """Has write and flush, and no descriptor."""

    def __init__(self, stream):
        self.write = stream.write
        self.flush = stream.flush


sys.stderr = Proxy(sys.stderr)
sys.stdout = Proxy(sys.stdout)


def misbehave(environ, _start_response):
    """Print to both."""
    print("to standard output")
    print("to standard error", file=sys.stderr)
    tell(environ, "after the streams were replaced")


application = staged(misbehave)
