"""Starts processes and terminates them at once, before their signals are their own."""

import multiprocessing
import time

from tests.misbehaviour.stage import staged, tell

REPORT = "benoitc/gunicorn#1570"
LOGGED = r"terminated by -15"
BORNE_BY = "signals_of_children"
REQUESTS = 3


def misbehave(environ, _start_response):
    """Start four and terminate them."""
    context = multiprocessing.get_context("fork")
    for pause in (0, 0.02) * 2:
        process = context.Process(target=time.sleep, args=(30,))
        process.start()
        time.sleep(pause)
        process.terminate()
        process.join()
        tell(environ, f"terminated by {process.exitcode}")


application = staged(misbehave)
