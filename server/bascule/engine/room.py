"""Room for new connections: where none is left, those that have waited longest for nothing make it.

An open connection costs a descriptor, and descriptors are limited. Whoever takes them all and says
nothing would shut everybody else out until his deadlines pass. So the connections that wait for a
request, or for part of its head, are closed for others, the oldest first; none whose request is
complete, or whose body is on its way.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import logging
import os
import resource
from collections.abc import Collection
from typing import Final

from bascule.engine.service import Client
from bascule.told.event_log import event

# Of the descriptors one in eight, and some for the process itself, stay for the application's
# files, spooled uploads and files that are being sent.
SHARE_KEPT: Final = 8
KEPT: Final = 16
# To find those that have waited longest takes a look at all, which are many. So a look begins while
# enough are noted from the one before, and goes on with so many connections for each one closed.
LOOKED_AT: Final = 16
# Descriptors that the kernel's table has room for from the start, where there may be so many (8
# bytes of its memory each).
RESERVED: Final = 16_384
# Of open files, where the process may have as many as it likes.
ANY_NUMBER: Final = 1 << 30
# An event this often at the most (seconds): a flood must not fill the log as well.
EVENT_INTERVAL: Final = 1.0

# Since when, a number that no other has, and who.
_Waiting = tuple[float, int, Client]


class Room:
    """Knows how many connections there may be; to be used by the leader.

    Args:
        connections: all that are open, at any time.
        limit: how many there may be; 0 for as many as the limit of open files leaves room for.
    """

    def __init__(self, connections: Collection[Client], limit: int) -> None:
        self._connections = connections
        self._limit = limit or _room_in_descriptors()
        self._longest: list[_Waiting] = []  # by the last look at all; a heap
        self._found: list[_Waiting] = []  # by the one under way
        self._unseen: list[Client] = []  # what it is yet to look at
        self._look_began = 0.0
        self._closed = 0
        self._next_event = 0.0

    @property
    def is_left(self) -> bool:
        """Whether one more connection may be accepted."""
        return len(self._connections) < self._limit

    def reserve(self) -> None:
        """Have the kernel make its table of this process's open files as large as it may become.

        The table doubles when it is full. In a process with threads, each time the thread that
        opened a file too many sleeps until every processor has noticed (RCU): for some 10 to 30 ms,
        and with the loop's thread all clients wait. So this is to be done before there are threads.
        """
        highest = min(self._limit + KEPT, RESERVED, _file_limit()) - 1
        with contextlib.suppress(OSError), open(os.devnull, "rb") as file:  # else it grows later
            os.close(fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, highest))

    def make(self, now: float) -> bool:
        """Close the connection that has waited longest; return whether there was one.

        Args:
            now: when this turn of the loop began, on its clock. Who came in the same turn has had
                no chance to speak, and stays.
        """
        if self._unseen or len(self._longest) * LOOKED_AT < 2 * len(self._connections):
            self._look(LOOKED_AT, now)
        while self._longest or self._look_at_all(now):
            since, _, connection = heapq.heappop(self._longest)
            if connection.waits_since == since:  # it has not been served meanwhile
                connection.close()
                self._closed += 1
                self.report(now)
                return True
        return False

    def _look(self, most: int, now: float) -> None:
        """Go on with the look at all connections, or begin one."""
        if not self._unseen:
            self._unseen = list(self._connections)
            self._found = []
            self._look_began = now
        for _ in range(min(most, len(self._unseen))):
            connection = self._unseen.pop()
            since = connection.waits_since
            # Who waits since then is younger than everybody found, and left to the next look.
            if since < self._look_began:
                heapq.heappush(self._found, (since, len(self._unseen), connection))
        if not self._unseen:
            self._longest = self._found

    def _look_at_all(self, now: float) -> bool:
        """Look at all connections at once; return whether anybody waits."""
        self._unseen = []
        self._look(len(self._connections), now)
        return bool(self._longest)

    def report(self, now: float) -> None:
        """Log how many were closed since the last time, unless that was just now."""
        if not self._closed or now < self._next_event:
            return
        event(
            logging.WARNING,
            "connections_closed",
            f"Closed {self._closed} connections that waited for a request, to make room for new "
            f"ones; {len(self._connections)} are open. --worker-connections, or the limit of open "
            "files (ulimit -n), allows no more",
            closed=self._closed,
        )
        self._closed = 0
        self._next_event = now + EVENT_INTERVAL


def _room_in_descriptors() -> int:
    files = _file_limit()
    return max(1, files - files // SHARE_KEPT - KEPT)


def _file_limit() -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return ANY_NUMBER if files == resource.RLIM_INFINITY else files
