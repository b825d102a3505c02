"""Calls of the application that show no sign of progress: reported, and answered without them.

A thread cannot be ended from outside, so a call that hangs keeps its thread, and what it has
locked. Its client need not wait for it: the leader answers 504 in its place.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from bascule.engine.abandoned import AbandonedCall
from bascule.engine.call import Call
from bascule.engine.connection import Connection
from bascule.engine.crew import Crew
from bascule.engine.service import Service
from bascule.told.counters import Counters
from bascule.told.event_log import event
from bascule.told.metrics import HUNG_REQUESTS

# How long a thread may take to finish a send (seconds), before it is looked at again.
MOMENT: Final = 0.02


class HungCalls:
    """Finds them, and gives them up; to be used by the leader.

    Args:
        crew: makes the calls.
        timeout: for how long one may go on without a sign of progress, in seconds.
        counters: count them; None for no metrics.
    """

    def __init__(self, crew: Crew, timeout: float, counters: Counters | None = None) -> None:
        self._crew = crew
        self._timeout = timeout
        self._counters = counters

    def count(self) -> int:
        """Return how many calls that were given up still hold their threads."""
        return self._crew.hung

    def time_out(self, service: Service) -> None:
        """Report each call that is past its time, and answer its client."""
        now = time.monotonic()
        for call in self._crew.running():
            connection = call.task
            if call.is_abandoned or not isinstance(connection, Connection):
                continue
            silence = connection.silent_time(call, now)
            if silence < self._timeout:
                continue
            stack = "".join(call.stack().format())
            if self._crew.abandon(call):
                self._report(connection, silence, now - call.started, stack)
                AbandonedCall(call, connection, service)

    def wait_for_only_thread(self, service: Service, on_progress: Callable[[], None]) -> None:
        """Return once the only thread's call is past its time, reported and its client answered.

        For a thread that does nothing else, since the only one can do nothing for itself: it turns
        the loop no more. The process has to end after this.

        Args:
            on_progress: called where the loop does not turn, but the call goes on.
        """
        loop, main = service.loop, threading.main_thread().ident or 0
        while True:
            now = time.monotonic()
            since = loop.now
            for connection in list(service.connections):
                if not (isinstance(connection, Connection) and connection.is_called):
                    continue
                call = Call(main, connection, since)
                silence = connection.silent_time(call, now)
                if silence >= self._timeout:
                    stack = "".join(call.stack().format())
                    self._report(connection, silence, now - since, stack)
                    abandoned = AbandonedCall(call, connection, service)
                    while abandoned.is_undecided:
                        time.sleep(MOMENT)
                        abandoned.on_deadline()
                    return
                if silence < now - since:
                    on_progress()
                    since = now - silence
            time.sleep(max(self._timeout - (now - since), MOMENT))

    def _report(self, connection: Connection, silence: float, age: float, stack: str) -> None:
        if self._counters:
            self._counters.add(HUNG_REQUESTS)
        request = connection.request
        did = "has taken" if silence >= age else "has made no progress for"
        event(
            logging.ERROR,
            "hung_request",
            f"{request.method if request else ''} {request.target if request else ''} "
            f"{did} {silence:.1f} s, "
            f"more than --timeout {self._timeout:g} s",
            request_id=connection.request_id,
            method=request.method if request else "",
            path=request.path if request else "",
            peer=connection.peer,
            age_s=round(silence, 3),
            stack=stack,
        )
