"""The snapshots of the last while, and what they say together."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import Any, Final

from bascule_ops.observe.rates import Between, Rates, between

WINDOW: Final = timedelta(seconds=10)  # that rates and percentiles look back, as the page's do
KEPT: Final = 240  # rates kept for the sparklines: more than a terminal is wide


class History:
    """Takes snapshots one after the other."""

    def __init__(self) -> None:
        self._recent: deque[dict[str, Any]] = deque()
        self._rates: deque[Rates] = deque(maxlen=KEPT)
        self._now: Between | None = None

    @property
    def latest(self) -> dict[str, Any]:
        """The newest snapshot."""
        return self._recent[-1]

    @property
    def now(self) -> Between | None:
        """The rates of the last seconds, from the second snapshot on."""
        return self._now

    @property
    def rates(self) -> list[Rates]:
        """Those of all workers at each snapshot, oldest first."""
        return list(self._rates)

    def add(self, document: dict[str, Any]) -> None:
        """Take the next snapshot."""
        now = datetime.fromisoformat(document["time"])
        while len(self._recent) > 1 and _time(self._recent[1]) <= now - WINDOW:
            self._recent.popleft()
        self._now = between(self._recent[0], document) if self._recent else None
        self._recent.append(document)
        if self._now:
            self._rates.append(self._now.total)


def _time(document: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(document["time"])
