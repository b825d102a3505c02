"""Changes into a directory and removes it: there is no working directory any more."""

import os
import tempfile

from tests.misbehaviour.stage import staged

REPORT = "benoitc/gunicorn#3291"
LOGGED = r"FileNotFoundError"
BORNE_BY = "exceptions"
REQUESTS = 3
STATUS = 500
SIGNAL = "SIGUSR1"
ACCESS_LOG = "access.log"


def misbehave(_environ, _start_response):
    """Lose it, and ask for it."""
    away = tempfile.mkdtemp()
    os.chdir(away)
    os.rmdir(away)
    os.getcwd()


application = staged(misbehave)
