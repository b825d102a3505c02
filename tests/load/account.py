"""The account: every request that was sent ends in it once, as answered right or as failed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.load.kinds import Kind


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that was not answered right. Times are of the monotonic clock, in seconds."""

    kind: Kind
    token: str
    reason: str
    began: float
    ended: float

    def was_in_flight(self, began: float, ended: float) -> bool:
        """Whether it was on its way at some time between these two."""
        return self.began <= ended and began <= self.ended


@dataclass(slots=True)
class Account:
    """What became of the requests.

    Attributes:
        sent: by kind.
        right: by kind.
        failures: the others.
        longest_pause: seconds in which no ordinary request was answered right.
        slowest: seconds that an ordinary request took, one that was answered right.
        own_stall: seconds for which the load itself did not get to run, at the most: a pause as
            long as that may be the machine's.
    """

    sent: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    longest_pause: float = 0.0
    slowest: float = 0.0
    own_stall: float = 0.0
    _last_answer: float | None = None

    def answered(self, kind: Kind, began: float, now: float) -> None:
        """Note a right answer."""
        self.right[kind.name] += 1
        if kind.is_ordinary:
            if self._last_answer is not None:
                self.longest_pause = max(self.longest_pause, now - self._last_answer)
            self._last_answer = now
            self.slowest = max(self.slowest, now - began)

    @property
    def is_complete(self) -> bool:
        """Whether each request that was sent is accounted for, exactly once."""
        failed = Counter(each.kind.name for each in self.failures)
        return self.sent == self.right + failed

    def lines(self) -> list[str]:
        """The account for people."""
        failed = Counter(each.kind.name for each in self.failures)
        table = [f"{'kind':<12}{'sent':>9}{'right':>9}{'failed':>9}"]
        table += [
            f"{name:<12}{self.sent[name]:>9}{self.right[name]:>9}{failed[name]:>9}"
            for name in self.sent
        ]
        total = (self.sent.total(), self.right.total(), failed.total())
        table.append(f"{'all':<12}{total[0]:>9}{total[1]:>9}{total[2]:>9}")
        reasons = Counter((each.kind.method, each.kind.name, each.reason) for each in self.failures)
        table += [f"failed: {count} x {' '.join(what)}" for what, count in reasons.items()]
        table.append(
            f"ordinary requests: longest pause {self.longest_pause:.3f} s, slowest "
            f"{self.slowest:.3f} s (the load's own longest stall: {self.own_stall:.3f} s)"
        )
        return table
