"""Installs handlers of its own for the signals that stop a server, at the import."""

import signal

from tests.misbehaviour.stage import staged, tell

REPORT = "benoitc/gunicorn#613"
LOGGED = r"signals are taken"
BORNE_BY = "wakeup_pipe"


def ignore(_number, _frame):
    """Have nobody stopped."""


for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1):
    signal.signal(number, ignore)


def misbehave(environ, _start_response):
    """Say so."""
    tell(environ, "signals are taken")


application = staged(misbehave)
