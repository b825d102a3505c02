"""Sends itself SIGKILL, as the kernel does where memory runs out."""

import os
import signal

from tests.misbehaviour.stage import staged

REPORT = "benoitc/gunicorn#2419"
LOGGED = r"SIGKILL"
BORNE_BY = "replacement"
ENDS_WORKER = True


def misbehave(_environ, _start_response):
    """End at once."""
    os.kill(os.getpid(), signal.SIGKILL)


application = staged(misbehave)
