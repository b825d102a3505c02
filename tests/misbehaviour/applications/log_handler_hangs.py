"""Has a handler on the root logger that waits for its network for ever."""

import logging
import time

from tests.misbehaviour.stage import staged

REPORT = "benoitc/gunicorn#3529"
LOGGED = r"hung_request|has taken|WORKER TIMEOUT"
BORNE_BY = "events_do_not_wait"
TIMEOUT = 1
WAITS = False


class Hangs(logging.Handler):
    """Never comes back, and holds the handler's lock meanwhile."""

    def emit(self, record):
        if record.name == "application":
            time.sleep(3600)


logging.getLogger().addHandler(Hangs())


def misbehave(_environ, _start_response):
    """Log."""
    logging.getLogger("application").error("to nobody")


application = staged(misbehave)
