"""Sets an alarm whose handler raises, in the main thread, wherever that is by then."""

import contextlib
import signal
import time

from tests.misbehaviour.stage import staged, tell

REPORT = "apache/superset#10677"
LOGGED = r"TimeoutError: the alarm"
BORNE_BY = "spare_main_thread"
REQUESTS = 4


def alarm(_number, _frame):
    """Have a call end that takes too long, as it is thought."""
    raise TimeoutError("the alarm")


signal.signal(signal.SIGALRM, alarm)


def misbehave(environ, _start_response):
    """Sleep past the alarm."""
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    tell(environ, "an alarm is set")
    with contextlib.suppress(TimeoutError):
        time.sleep(0.2)


application = staged(misbehave)
