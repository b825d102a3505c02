"""Takes the buffers out of sys.stdout and sys.stderr."""

import sys

from tests.misbehaviour.stage import staged, tell

REPORT = "unbit/uwsgi#577"
LOGGED = r"after the streams were detached"
BORNE_BY = "own_stderr"

sys.stdout = sys.stdout.detach()
sys.stderr = sys.stderr.detach()


def misbehave(environ, _start_response):
    """Write bytes to what is left."""
    sys.stdout.write(b"bytes to standard output\n")
    tell(environ, "after the streams were detached")


application = staged(misbehave)
