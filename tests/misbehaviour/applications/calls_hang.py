"""Has all calls but one place's hang for ever, at the same time."""

import threading

from tests.misbehaviour.stage import staged

REPORT = "benoitc/gunicorn#2086"
LOGGED = r"hung_request|has taken|WORKER TIMEOUT"
BORNE_BY = "replaced_threads"
TIMEOUT = 1
REQUESTS = 3
AT_ONCE = 3
WATCH = 1.5
WAITS = False


def misbehave(_environ, _start_response):
    """Wait for what nobody will do."""
    threading.Event().wait()


application = staged(misbehave)
