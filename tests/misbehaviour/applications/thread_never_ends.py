"""Starts a thread that is no daemon and never ends: the interpreter would wait for it."""

import threading
import time

from tests.misbehaviour.stage import staged, tell

REPORT = "benoitc/gunicorn#2716"
LOGGED = r"a thread for ever"
BORNE_BY = "bounded_exit"


def misbehave(environ, _start_response):
    """Start it."""
    threading.Thread(target=lambda: time.sleep(3600), daemon=False).start()
    tell(environ, "a thread for ever")


application = staged(misbehave)
