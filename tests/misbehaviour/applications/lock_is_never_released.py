"""Takes a lock in each call and never gives it back: all but the first call wait for ever."""

import threading

from tests.misbehaviour.stage import staged

REPORT = "unbit/uwsgi#1990"
LOGGED = r"hung_request|has taken|WORKER TIMEOUT"
BORNE_BY = "replaced_threads"
TIMEOUT = 1
REQUESTS = 4
AT_ONCE = 4
WATCH = 1.5
WAITS = False

LOCK = threading.Lock()


def misbehave(_environ, _start_response):
    """Take it."""
    LOCK.acquire()


application = staged(misbehave)
