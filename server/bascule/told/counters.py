"""Counts what a process serves, into its cells of the metrics file.

A request is noted in one step, by whatever thread ends it, and the notes are added up together,
since adding up is what costs. The lock is taken for that, and for what is rare.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import Final, NamedTuple

from bascule.told.metrics import (
    BOUNDS,
    CLIENT_DISCONNECTS,
    DURATION_SUM,
    DURATIONS,
    QUEUE_WAIT_SUM,
    QUEUE_WAITS,
    RATE_LIMITED,
    RECEIVED_BYTES,
    SENT_BYTES,
    STATUSES,
)

# Notes are added up this often at the most while requests come (seconds), at the next tick when no
# more come; a process that is killed loses what it noted since.
INTERVAL: Final = 0.005
_SHORTEST: Final = BOUNDS[0]
_MICROSECONDS: Final = 1_000_000


class Note(NamedTuple):
    """One request that has been answered, or was cut short.

    Attributes:
        status: of the answer; 499 for a client that left before.
        sent: bytes of the answer.
        duration: seconds since the head came.
        queue_wait: seconds until the application was called; below 0 if it was not.
    """

    status: int
    sent: int
    duration: float
    queue_wait: float


class Counters:
    """Adds up.

    Args:
        cells: of a slot (``bascule.told.metrics``); nobody else writes them.

    Attributes:
        note: notes a ``Note``, or a tuple like one; any thread may.
        received: bytes that clients have sent; for the leader alone to raise.
        due: when ``fold`` is worth calling again, on the clock that it is told.
    """

    def __init__(self, cells: memoryview) -> None:
        self._cells = cells
        self._lock = threading.Lock()
        self._notes: list[tuple[int, int, float, float]] = []
        self.note = self._notes.append
        self.received = 0
        self._received_before = 0
        self.due = 0.0

    def add(self, cell: int) -> None:
        """Add one to a cell; any thread may."""
        with self._lock:
            self._cells[cell] += 1

    def fold(self, now: float) -> None:
        """Add up what was noted; any thread may, and the leader does.

        Args:
            now: the monotonic clock, in seconds.
        """
        self.due = now + INTERVAL
        if not self._notes and self.received == self._received_before:
            return
        with self._lock:
            notes = self._notes[:]
            del self._notes[: len(notes)]
            self._add_up(notes)
            received = self.received
            self._cells[RECEIVED_BYTES] += received - self._received_before
            self._received_before = received

    def _add_up(self, notes: list[tuple[int, int, float, float]]) -> None:
        cells = self._cells
        short = prompt = good = sent = 0
        durations = waits = 0.0
        for status, size, duration, wait in notes:
            sent += size
            durations += duration
            # What most requests are is counted here, everything else in its cell.
            if duration <= _SHORTEST:
                short += 1
            else:
                cells[DURATIONS + bisect_left(BOUNDS, duration)] += 1
            if 0 <= wait <= _SHORTEST:
                prompt += 1
                waits += wait
            elif wait > 0:
                cells[QUEUE_WAITS + bisect_left(BOUNDS, wait)] += 1
                waits += wait
            if 200 <= status < 300:
                good += 1
            else:
                self._add_status(status)
        cells[STATUSES + 1] += good
        cells[DURATIONS] += short
        cells[QUEUE_WAITS] += prompt
        cells[SENT_BYTES] += sent
        cells[DURATION_SUM] += round(durations * _MICROSECONDS)
        cells[QUEUE_WAIT_SUM] += round(waits * _MICROSECONDS)

    def _add_status(self, status: int) -> None:
        self._cells[STATUSES + status // 100 - 1] += 1
        if status == 429:
            self._cells[RATE_LIMITED] += 1
        elif status == 499:
            self._cells[CLIENT_DISCONNECTS] += 1
