"""Arms faulthandler's only timer to end the process, and forgets it; takes SIGUSR1 as well."""

import faulthandler
import signal

from tests.misbehaviour.stage import staged, tell

REPORT = "frappe/frappe#26302"
LOGGED = r"the timer is armed"
BORNE_BY = "renewed_watch"
SIGNAL = "SIGUSR1"
WATCH = 2.0

SOMEWHERE = open("/dev/null", "w")


def misbehave(environ, _start_response):
    """Have the process end in a second, should this call hang."""
    faulthandler.register(signal.SIGUSR1, file=SOMEWHERE)
    faulthandler.dump_traceback_later(1, exit=True, file=SOMEWHERE)
    tell(environ, "the timer is armed")


application = staged(misbehave)
