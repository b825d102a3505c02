"""Calls of the application that take longer than they may: reported, and answered without them.

A thread cannot be ended from outside, so a call that hangs keeps its thread, and what it has
locked. Its client need not wait for it: the leader answers 504 in its place.
"""

from __future__ import annotations

import logging
import time

from server.connection import Connection
from server.crew import Crew
from server.event_log import event


class HungCalls:
    """Finds them, and gives them up; to be used by the leader.

    Args:
        crew: makes the calls.
        timeout: how long one may take, in seconds.
    """

    def __init__(self, crew: Crew, timeout: float) -> None:
        self._crew = crew
        self._timeout = timeout

    def count(self) -> int:
        """Return how many calls that were given up still hold their threads."""
        return sum(call.is_abandoned for call in self._crew.running())

    def time_out(self) -> None:
        """Report each call that is past its time, and answer its client."""
        now = time.monotonic()
        for call in self._crew.running():
            connection = call.task
            if call.is_abandoned or not isinstance(connection, Connection):
                continue
            age = connection.working_time(call, now)
            if age < self._timeout:
                continue
            stack = "".join(call.stack().format())
            if self._crew.abandon(call):
                self._report(connection, age, stack)
                connection.time_out(call)

    def _report(self, connection: Connection, age: float, stack: str) -> None:
        line = connection.request.line if connection.request else None
        event(
            logging.ERROR,
            "hung_request",
            f"{line.method if line else ''} {line.target if line else ''} has taken {age:.1f} s, "
            f"more than --timeout {self._timeout:g} s",
            request_id=connection.request_id,
            method=line.method if line else "",
            path=line.path if line else "",
            peer=connection.peer,
            age_s=round(age, 3),
            stack=stack,
        )
