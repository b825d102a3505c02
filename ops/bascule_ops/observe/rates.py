"""What two snapshots say about the time between them.

Counters and histograms only grow, so their growth over a few seconds is what is going on now.
``static/model.js`` does the same for the status page, and a test holds the two together.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Histogram:
    """Calls by duration: of `count` in all, `counts[i]` took at most `bounds[i]` seconds."""

    bounds: Sequence[float] = ()
    counts: Sequence[int] = ()
    count: int = 0

    def quantile(self, part: float) -> float | None:
        """Seconds, linear within a bucket as Prometheus has it.

        Past the last bound it is that bound; of nothing there is none.
        """
        if self.count == 0 or not self.bounds:
            return None
        rank = part * self.count
        index = bisect_left(self.counts, rank)
        if index == len(self.bounds):
            return self.bounds[-1]
        below, low = (self.counts[index - 1], self.bounds[index - 1]) if index else (0, 0.0)
        inside = self.counts[index] - below
        if inside == 0:
            return low
        return low + (self.bounds[index] - low) * (rank - below) / inside


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests a second, and percentiles in seconds."""

    requests: float
    client_errors: float
    server_errors: float
    p50: float | None
    p95: float | None
    p99: float | None
    wait50: float | None
    wait99: float | None


@dataclass(frozen=True, slots=True)
class Growth:
    """What workers counted between two snapshots."""

    requests: dict[str, int]
    duration: Histogram
    queue_wait: Histogram

    def rates(self, seconds: float) -> Rates:
        """The same, a second."""
        return Rates(
            sum(self.requests.values()) / seconds,
            self.requests.get("4xx", 0) / seconds,
            self.requests.get("5xx", 0) / seconds,
            self.duration.quantile(0.5),
            self.duration.quantile(0.95),
            self.duration.quantile(0.99),
            self.queue_wait.quantile(0.5),
            self.queue_wait.quantile(0.99),
        )


@dataclass(frozen=True, slots=True)
class Between:
    """The rates of all workers together and of each by its name."""

    total: Rates
    workers: dict[str, Rates]


def _histogram(before: dict[str, Any], after: dict[str, Any]) -> Histogram:
    anew = after["count"] < before["count"]  # the counters began at nought again
    pairs = zip(before["buckets"], after["buckets"], strict=True)
    grown = [(new[0], new[1] - (0 if anew else old[1])) for old, new in pairs if _finite(new[0])]
    return Histogram(
        [bound for bound, _ in grown],
        [count for _, count in grown],
        after["count"] - (0 if anew else before["count"]),
    )


def _finite(bound: object) -> bool:
    return isinstance(bound, int | float)


def _growth(before: dict[str, Any], after: dict[str, Any]) -> Growth:
    then = before["requests"]
    requests = {
        status: count - then.get(status, 0) if count >= then.get(status, 0) else count
        for status, count in after["requests"].items()
    }
    return Growth(
        requests,
        _histogram(before["duration"], after["duration"]),
        _histogram(before["queue_wait"], after["queue_wait"]),
    )


def _together(histograms: Iterable[Histogram]) -> Histogram:
    known = list(histograms)
    if not known:
        return Histogram()
    counts = [sum(each) for each in zip(*(one.counts for one in known), strict=True)]
    return Histogram(known[0].bounds, counts, sum(one.count for one in known))


def between(before: dict[str, Any], after: dict[str, Any]) -> Between | None:
    """Compare two snapshots; None where there is no time, or nobody counted."""
    then, now = (datetime.fromisoformat(each["time"]) for each in (before, after))
    seconds = (now - then).total_seconds()
    if seconds <= 0:
        return None
    earlier = {worker["worker"]: worker["metrics"] for worker in before["workers"]}
    growth = {
        worker["worker"]: _growth(earlier[worker["worker"]], worker["metrics"])
        for worker in after["workers"]
        if worker["metrics"] and earlier.get(worker["worker"])
    }
    if not growth:
        return None
    statuses = {status for each in growth.values() for status in each.requests}
    total = Growth(
        {key: sum(each.requests.get(key, 0) for each in growth.values()) for key in statuses},
        _together(each.duration for each in growth.values()),
        _together(each.queue_wait for each in growth.values()),
    )
    return Between(
        total.rates(seconds), {name: each.rates(seconds) for name, each in growth.items()}
    )
