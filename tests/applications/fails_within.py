"""Makes the server fail at one of its places ($PLACE, bascule.guard), from within its process.

WAYS has one for every place. /slow takes long enough to run beside the event loop; /signal sends
the process the signal that the query names; anything else is answered.
"""

from __future__ import annotations

import faulthandler
import functools
import logging
import os
import signal
import time

from bascule import streams
from bascule.engine import loop as loops
from bascule.engine.accept import Acceptor
from bascule.engine.connection import Connection
from bascule.engine.crew import Crew
from bascule.engine.deadlines import Deadlines
from bascule.engine.listen import Listener
from bascule.engine.loop import Loop
from bascule.engine.overload import Overload
from bascule.engine.room import Room
from bascule.http.head import HeadReader
from bascule.told.access_log import AccessLog
from bascule.told.counters import Counters
from bascule.told.log_route import LogRoute
from bascule.watch.hung_calls import HungCalls
from bascule.watch.memory import MemoryLimit
from bascule.watch.request_ids import RequestIds
from bascule.watch.slow_calls import SlowCalls
from bascule.watch.status import Status
from bascule.watch.status_socket import StatusSocket

ALWAYS = 1 << 30
CALLS = []  # made of the loop at the first request


class OnPurpose(BaseException):
    """What no mistake of ours would raise."""


class Fails:
    """A function that fails, after some calls and for some, and then does what it did before."""

    def __init__(self, before, times, after=0):
        self.before, self.times, self.after = before, times, after

    def __get__(self, instance, _owner=None):
        """Bind, as functions do."""
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *arguments, **named):
        """Fail, or not."""
        self.after -= 1
        if self.after < 0 < self.times:
            self.times -= 1
            raise OnPurpose("on purpose")
        return self.before(*arguments, **named)


def method(owner, name, times=ALWAYS, after=0):
    """Have a method or a property fail."""
    before = getattr(owner, name)
    if isinstance(before, property):
        setattr(owner, name, property(Fails(before.fget, times, after)))
    else:
        setattr(owner, name, Fails(before, times, after))


def turn():
    """Have turns fail, where they read the clock."""
    loops.monotonic = Fails(loops.monotonic, 3, after=20)


def on_loop(act):
    """Do something with the loop, once it watches signals."""
    before = Loop.watch_signals

    def watch_signals(self, *numbers):
        before(self, *numbers)
        act(self)

    Loop.watch_signals = watch_signals


def attribute(name, times):
    """Have something fail that the loop was given."""

    def act(loop):
        setattr(loop, name, Fails(getattr(loop, name), times))

    on_loop(act)


def raising_handler():
    """Log by a handler that fails."""

    class Handler(logging.Handler):
        def handle(self, record):
            raise OnPurpose("on purpose")

    logging.getLogger().addHandler(Handler())


def raise_in_main(*_arguments):
    """Fail in the main thread."""
    raise OnPurpose("on purpose")


class Evil:
    """What an application may leave in the environ."""

    __hash__ = None

    def __str__(self):
        """Fail."""
        raise ValueError("on purpose")


def published(times=3):
    """Wait for a rival, fail, and have none any more."""
    has_rival = Fails(lambda _self: False, times)
    first = [True]
    Listener.has_rival = lambda self: (first and first.pop()) or has_rival(self)


def shortage(times=3):
    """Fail where it is asked why there are too few threads."""
    Crew.shortage = property(Fails(lambda _self: "", times), lambda _self, _value: None)


WAYS = {
    "accept": lambda: method(Room, "is_left", 3),
    "access_line": lambda: None,  # the environ does
    "access_log": lambda: method(AccessLog, "flush", 3, after=1),
    "call": lambda: on_loop(lambda loop: CALLS.append(lambda: loop.call_soon(raise_in_main))),
    "connection": lambda: method(HeadReader, "feed", 3),
    "counters": lambda: method(Counters, "fold"),
    "drain": lambda: method(Acceptor, "close"),
    "end": lambda: method(StatusSocket, "withdraw"),
    "handler": lambda: method(Connection, "on_event", 3),
    "log": lambda: setattr(RequestIds, "filter", lambda _self, _record: 1 / 0),
    "log_handler": raising_handler,
    "look": lambda: method(SlowCalls, "look"),
    "main": lambda: signal.signal(signal.SIGUSR2, raise_in_main),
    "output": lambda: os.dup2(os.open("/dev/full", os.O_WRONLY), streams.own(1).descriptor),
    "signal": lambda: attribute("on_signal", 1),
    "slow_call": lambda: method(SlowCalls, "on_slow"),
    "status": lambda: method(Status, "document", 3),
    "thread": lambda: method(Connection, "call", 3),
    "tick": lambda: attribute("on_tick", 3),
    "tick_accepting": lambda: method(Acceptor, "resume", after=1),
    "tick_deadlines": lambda: method(Deadlines, "sweep", 3),
    "tick_draining": lambda: method(Connection, "is_idle", 3),
    "tick_hung": lambda: method(HungCalls, "time_out"),
    "tick_lost": lambda: (method(Crew, "tasks"), method(Overload, "report", 3)),
    "tick_log_route": lambda: method(LogRoute, "tend"),
    "tick_overload": lambda: method(Overload, "report"),
    "tick_publishing": published,
    "tick_recycling": lambda: method(MemoryLimit, "excess"),
    "tick_room": lambda: method(Room, "report"),
    "tick_shortage": shortage,
    "tick_signals": lambda: method(Loop, "watch_signals", after=1),
    "tick_silence": lambda: method(faulthandler, "dump_traceback_later", after=1),
    "tick_streams": lambda: method(streams, "restore"),
    "turn": turn,
    "watch": lambda: method(HungCalls, "wait_for_only_thread", 3),
}
PLACE = os.environ.get("PLACE", "")
WAYS.get(PLACE, lambda: None)()


def application(environ, start_response):
    """Answer."""
    path = environ["PATH_INFO"]
    if path == "/slow":
        time.sleep(0.05)
    if path == "/signal":
        os.kill(os.getpid(), signal.Signals[environ["QUERY_STRING"]])
    if PLACE == "access_line":
        environ["REMOTE_ADDR"] = Evil()
    for call in CALLS:
        call()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"well"]
