"""Cuts a file short while wsgi.file_wrapper sends it."""

import os
import tempfile
import threading

from tests.misbehaviour.stage import staged, tell

LOGGED = r"it is shorter now"
BORNE_BY = "files_that_end_early"
REQUESTS = 3


def misbehave(environ, start_response):
    """Send 64 MiB of which there are 8 MiB a moment later."""
    file = tempfile.TemporaryFile("w+b")
    file.truncate(64 << 20)
    file.flush()
    threading.Timer(0.005, os.ftruncate, [os.dup(file.fileno()), 8 << 20]).start()
    tell(environ, "it is shorter now")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return environ["wsgi.file_wrapper"](file)


application = staged(misbehave)
