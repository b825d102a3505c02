"""Raises where nobody expects it; the path says where, and the query for how long (seconds).

/alarms    in the main thread, every few milliseconds, by a signal's handler
/threads   in each thread of the server's that takes turns, as late timeouts do
/finalizers  where nothing can be raised: __del__, weakref callbacks, the hooks for that
/hooks     in the hooks that tell of exceptions
/trace     in a trace function of all threads
/close, /iter, /str, /base, /generator  of its response's or its exception's own
/alarm     in the call, by a signal's handler, after a few milliseconds
/slow      nowhere: takes 20 ms
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import threading
import time
import weakref


class Late(BaseException):
    """What a timeout raises that came too late."""


def too_late(*_arguments):
    """Raise."""
    raise Late("too late")


if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGUSR2, too_late)
    signal.signal(signal.SIGALRM, too_late)


def storm(act, interval, seconds):
    """Do something again and again, on a thread of its own."""

    def run():
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            act()
            time.sleep(interval)

    threading.Thread(target=run, name="storm").start()


def raise_in_crew():
    """Raise in each thread of the crew."""
    for thread in threading.enumerate():
        if thread.name.startswith("crew"):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(thread.ident), ctypes.py_object(Late)
            )


class Dies:
    """Raises as it goes."""

    def __del__(self):
        """Raise."""
        raise Late("in __del__")


def finalize():
    """Raise where it can only be told of, by hooks that raise."""
    sys.unraisablehook = too_late
    Dies()
    referred = type("Referred", (), {})()
    watch = weakref.ref(referred, too_late)
    del referred
    gc.collect()
    return watch


def hooks():
    """Have the hooks that tell of exceptions raise."""
    sys.excepthook = threading.excepthook = sys.unraisablehook = too_late
    thread = threading.Thread(target=too_late)
    thread.start()
    thread.join()


class Closes:
    """An iterable whose close() raises."""

    def __iter__(self):
        """Have nothing more."""
        return iter([b"we", b"ll"])

    def close(self):
        """Raise."""
        raise Late("in close()")


class Unspeakable(BaseException):
    """An exception that cannot be told."""

    def __str__(self):
        """Raise."""
        raise Late("in __str__")

    __repr__ = __str__


def generator():
    """Yield, and go on when it is told to end."""
    try:
        yield b"we"
        raise GeneratorExit("of its own")
    finally:
        yield b"ll"


def fail(error):
    """Raise it."""
    raise error


def alarm():
    """Be interrupted."""
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    time.sleep(10)


WAYS = {
    "alarms": lambda seconds: storm(lambda: os.kill(os.getpid(), signal.SIGUSR2), 0.003, seconds),
    "threads": lambda seconds: storm(raise_in_crew, 0.003, seconds),
    "finalizers": lambda _: finalize(),
    "hooks": lambda _: hooks(),
    "trace": lambda _: (threading.settrace(too_late), sys.settrace(too_late)),
    "str": lambda _: fail(Unspeakable()),
    "base": lambda _: fail(Late("in the call")),
    "alarm": lambda _: alarm(),
    "slow": lambda _: time.sleep(0.02),
}
BODIES = {"close": Closes, "iter": lambda: map(too_late, [1]), "generator": generator}


def application(environ, start_response):
    """Raise there, and answer."""
    way = environ["PATH_INFO"][1:]
    if way in WAYS:
        WAYS[way](float(environ["QUERY_STRING"] or 0))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return BODIES[way]() if way in BODIES else [b"well"]
