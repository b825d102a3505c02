"""Deadlines: at each tick those that have passed, as many a turn as starve nobody.

A look at 10,000 connections takes less than half a millisecond. Closing them all takes 80 ms and
more, which is why clients that fell silent together are not closed together.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from bascule.engine.loop import Loop
from bascule.engine.service import Client

# Connections a turn whose deadlines are acted on; the rest waits while the others are served.
DEADLINES_A_TURN: Final = 64


class Deadlines:
    """Acts on the deadlines of connections.

    Args:
        loop: its turns and its clock.
        connections: all that are open, at any time.
    """

    def __init__(self, loop: Loop, connections: Collection[Client]) -> None:
        self._loop = loop
        self._connections = connections
        self._due: list[Client] = []

    def sweep(self) -> None:
        """Begin to act on what is due; to be called by the leader, at each tick."""
        if self._due:
            return  # the last sweep goes on
        now = self._loop.now
        self._due = [each for each in self._connections if each.deadline <= now]
        self._act()

    def _act(self) -> None:
        due = self._due
        try:
            for _ in range(min(len(due), DEADLINES_A_TURN)):
                connection = due.pop()
                if connection.deadline <= self._loop.now:  # it may have been served meanwhile
                    connection.on_deadline()
        finally:  # else no sweep would begin any more
            if due:
                self._loop.call_soon(self._act)
