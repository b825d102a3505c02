"""Requests that have something in common: how many, how they ended, how long they took, when."""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from bascule_ops.logs.record import Record

# Groups of their own; what comes beyond is one group, so that made-up paths cost no memory.
_GROUPS: Final = 20_000
REST: Final = "(others)"
# Of a time: 2026-11-21T10:00:0, ten seconds, the finest that is shown.
_TEN_SECONDS: Final = 18
# A part of a path that names one thing of a kind: a number, a UUID, a hash.
_NAME: Final = re.compile(
    r"/(?:\d+|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{8,})(?=/|\Z)"
)


class Group:
    """Requests that have something in common.

    Attributes:
        key: what it is.
        count, client_errors, server_errors, size: requests, those with 4xx and 5xx, bytes sent.
        first, last: times of the first and the last (by the log's order of times).
        when, errors_when: requests, and those with 5xx, by times of ten seconds.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.client_errors = self.server_errors = self.size = 0
        self.first = self.last = ""
        self.when: Counter[str] = Counter()
        self.errors_when: Counter[str] = Counter()
        self._durations = array("d")

    def add(self, record: Record) -> None:
        """Count a request."""
        time, status = record["time"], record["status"]
        self._durations.append(record["duration_ms"])
        self.size += record["bytes"]
        self.when[time[:_TEN_SECONDS]] += 1
        if status >= 500:
            self.server_errors += 1
            self.errors_when[time[:_TEN_SECONDS]] += 1
        elif status >= 400:
            self.client_errors += 1
        self.last = max(self.last, time)
        if time < self.first or not self.first:
            self.first = time

    def include(self, other: Group) -> None:
        """Count the requests of another group as well."""
        self._durations.extend(other._durations)
        self.size += other.size
        self.server_errors += other.server_errors
        self.client_errors += other.client_errors
        self.when.update(other.when)
        self.errors_when.update(other.errors_when)
        self.first = min(filter(None, (self.first, other.first)), default="")
        self.last = max(self.last, other.last)

    @property
    def count(self) -> int:
        """How many requests there were."""
        return len(self._durations)

    @property
    def weight(self) -> tuple[int, float]:
        """What makes a group worth a look: errors first, then the time it took from others."""
        return self.server_errors, math.fsum(self._durations)

    def percentiles(self) -> dict[str, float]:
        """Milliseconds within which that share was answered; empty where nothing was."""
        ordered = sorted(self._durations)
        ranks = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "max_ms": 1.0}
        return {
            name: ordered[max(0, math.ceil(share * len(ordered)) - 1)]
            for name, share in ranks.items()
            if ordered
        }

    def as_json(self) -> dict[str, Any]:
        """The group as a mapping."""
        counts = {"4xx": self.client_errors, "5xx": self.server_errors}
        share = self.server_errors / self.count if self.count else 0.0
        times = {"first": self.first, "last": self.last}
        told: dict[str, Any] = {"key": self.key, "requests": self.count} | counts
        return (
            told | {"5xx_share": round(share, 6), "bytes": self.size} | self.percentiles() | times
        )


class Groups:
    """Requests, grouped by one of `KEYS`."""

    def __init__(self, by: str) -> None:
        self._key = KEYS[by]
        self._groups: dict[str, Group] = {}

    def add(self, record: Record) -> None:
        """Count a request in its group."""
        self._group(self._key(record)).add(record)

    def include(self, other: Groups) -> None:
        """Count the requests of others, grouped by the same, as well."""
        for key, group in other._groups.items():
            self._group(key).include(group)

    def total(self) -> Group:
        """All requests as one group."""
        total = Group("")
        for group in self._groups.values():
            total.include(group)
        return total

    def ranked(self) -> list[Group]:
        """The groups, those that are most worth a look first."""
        return sorted(self._groups.values(), key=lambda group: group.weight, reverse=True)

    def _group(self, key: str) -> Group:
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= _GROUPS:
                key = REST
            group = self._groups.setdefault(key, Group(key))
        return group


def route(target: str) -> str:
    """A path whose numbers, UUIDs and hashes are ``{}``, and without its query."""
    return _NAME.sub("/{}", target.partition("?")[0])


def _worker(record: Record) -> str:
    if record.get("worker") != "nginx":
        return str(record.get("worker", ""))
    # After a retry there are several: the last one answered.
    last = str(record.get("upstream", "")).rpartition(", ")[2]
    return last.rpartition("/")[2].removesuffix(".sock") or "(nginx itself)"


KEYS: Final[dict[str, Callable[[Record], str]]] = {
    "path": lambda record: f"{record.get('method', '-')} {route(str(record.get('target', '-')))}",
    "status": lambda record: str(record["status"]),
    "address": lambda record: str(record.get("remote_addr") or "(none)"),
    "worker": _worker,
    "user-agent": lambda record: str(record.get("user_agent") or "(none)"),
}
