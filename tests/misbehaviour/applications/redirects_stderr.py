"""Has sys.stderr redirected while it works, as tests and embedded command lines do."""

import contextlib
import io
import time

from tests.misbehaviour.stage import staged, tell

REPORT = "GrahamDumpleton/mod_wsgi#890"
LOGGED = r"while standard error is redirected"
BORNE_BY = "own_stream_of_the_watch"
REQUESTS = 60


def misbehave(environ, _start_response):
    """Hold the redirection for as long as a query takes."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        tell(environ, "while standard error is redirected")
        time.sleep(0.02)


application = staged(misbehave)
