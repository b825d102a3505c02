"""Lets an event pass now and then, so that a flood of events is no flood of log lines."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic


class Throttle:
    """Lets one event pass in `seconds`, and counts those that it keeps back."""

    def __init__(self, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._opens = clock()
        self._kept_back = 0
        self._mutex = threading.Lock()

    def kept_back(self) -> int | None:
        """Return how many were kept back since the last event that passed; None: this one is."""
        with self._mutex:
            now = self._clock()
            if now < self._opens:
                self._kept_back += 1
                return None
            self._opens = now + self._seconds
            kept_back, self._kept_back = self._kept_back, 0
            return kept_back
