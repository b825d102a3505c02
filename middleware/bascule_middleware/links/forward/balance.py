"""Chooses the upstream of each request, and leaves out those that fail.

Policy only: nothing here sends anything, the clock and the dice are handed in. Who sends reports
what became of it (`served`, `failed`, `checked`) and gives each upstream back (`release`).

An upstream that fails several times in a row is *ejected* for a while. When that is over, one
request tries it: it is back if that is served, else it is ejected for twice as long. All state is
this process's own; processes that serve the same chain find out by themselves.
"""

from __future__ import annotations

import hashlib
import math
import random
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

# However long an upstream has been away, it is tried again this often (seconds).
LONGEST_EJECTION = 30.0


@dataclass(eq=False, slots=True)
class Member:
    """One upstream, as the balancer sees it. Only the balancer writes to it.

    Attributes:
        name: its address as configured; consistent hashing depends on it.
        weight: its share of the requests, in relation to the others'.
        outstanding: requests that it has and has not answered to their end.
        healthy: what active checks say; true where there are none.
    """

    name: str
    weight: int = 1
    outstanding: int = 0
    healthy: bool = True
    credit: int = 0  # of the smooth weighted round robin
    failures: int = 0  # requests in a row
    ejections: int = 0  # in a row
    ejected_until: float = -math.inf
    on_trial: bool = False  # one request tries whether it is back
    checks: int = 0  # in a row that contradict `healthy`


Chooser = Callable[[Sequence[Member], str, random.Random], Member]


def round_robin(members: Sequence[Member], _key: str, _dice: random.Random) -> Member:
    """In turn, each as often as its weight says, and never a burst for the heaviest."""
    for member in members:
        member.credit += member.weight
    chosen = max(members, key=lambda member: member.credit)
    chosen.credit -= sum(member.weight for member in members)
    return chosen


def least_outstanding(members: Sequence[Member], key: str, dice: random.Random) -> Member:
    """Whoever has the fewest requests for its weight; among equals in turn."""
    least = min(map(_load, members))
    return round_robin([member for member in members if _load(member) == least], key, dice)


def two_choices(members: Sequence[Member], _key: str, dice: random.Random) -> Member:
    """Draw two by weight and take the one with fewer requests.

    Nearly as even as looking at all, and processes that do not know of one another's requests
    do not all run to the same upstream.
    """
    first = _draw(members, dice)
    others = [member for member in members if member is not first]
    if not others:
        return first
    second = _draw(others, dice)
    return second if _load(second) < _load(first) else first


def consistent_hash(members: Sequence[Member], key: str, _dice: random.Random) -> Member:
    """The same upstream for the same key, for as long as it is there (rendezvous hashing).

    Each upstream scores by a hash of the key and its own name; the highest score wins. When one
    goes, only its own keys move, and they spread over all others. The logarithm makes the chance
    to win proportional to the weight.
    """

    def score(member: Member) -> float:
        digest = hashlib.blake2b(f"{member.name}\n{key}".encode(), digest_size=8).digest()
        uniform = (int.from_bytes(digest, "big") + 1) / (2**64 + 1)
        return -member.weight / math.log(uniform)

    return max(members, key=score)


def _load(member: Member) -> float:
    return member.outstanding / member.weight


def _draw(members: Sequence[Member], dice: random.Random) -> Member:
    return dice.choices(members, [member.weight for member in members])[0]


CHOOSERS: dict[str, Chooser] = {
    "round-robin": round_robin,
    "least-outstanding": least_outstanding,
    "two-choices": two_choices,
    "hash": consistent_hash,
}


class Balancer:
    """The upstreams of one link; may be called by many threads.

    Args:
        members: the upstreams.
        choose: how one is chosen among those that are available.
        max_failures: in a row, before an upstream is ejected.
        ejection: seconds of the first ejection; each that follows doubles it.
        checks: active checks in a row that change whether an upstream is healthy.
        clock: tells the time in seconds; never goes back.
        dice: for the choosers that draw.
    """

    def __init__(
        self,
        members: Sequence[Member],
        choose: Chooser,
        *,
        max_failures: int,
        ejection: float,
        checks: int,
        clock: Callable[[], float],
        dice: random.Random,
    ) -> None:
        self._members = members
        self._choose = choose
        self._max_failures = max_failures
        self._ejection = ejection
        self._checks = checks
        self._clock = clock
        self._dice = dice
        self._lock = threading.Lock()

    def acquire(self, key: str, tried: Collection[Member] = ()) -> Member | None:
        """Return the upstream for a request, or None where none is available.

        `key` is what consistent hashing goes by; `tried` are upstreams that failed this request.
        Whoever gets one must `release` it.
        """
        with self._lock:
            now = self._clock()
            available = [
                member
                for member in self._members
                if member.healthy and member.ejected_until <= now and member not in tried
            ]
            if not available:
                return None
            chosen = self._choose(available, key, self._dice)
            if chosen.ejections:
                # The others wait for the outcome, or for as long if there is none.
                chosen.on_trial = True
                chosen.ejected_until = now + self._ejection
            chosen.outstanding += 1
            return chosen

    def release(self, member: Member) -> None:
        """Give back what `acquire` returned, once, whatever became of the request."""
        with self._lock:
            member.outstanding -= 1

    def served(self, member: Member) -> bool:
        """Note that an upstream answered; return whether that brings it back."""
        with self._lock:
            member.failures = 0
            return self._restore(member)

    def failed(self, member: Member) -> float:
        """Note that an upstream failed; return for how many seconds it is ejected now, or 0."""
        with self._lock:
            now = self._clock()
            if not member.on_trial:
                if now < member.ejected_until:
                    return 0.0  # sent before it was ejected: nothing new
                member.failures += 1
                if member.failures < self._max_failures:
                    return 0.0
            # The exponent is bounded: a float has no 2**1024.
            seconds = min(self._ejection * 2.0 ** min(member.ejections, 32), LONGEST_EJECTION)
            member.failures = 0
            member.on_trial = False
            member.ejections += 1
            member.ejected_until = now + seconds
            return seconds

    def checked(self, member: Member, *, passed: bool) -> bool:
        """Note the outcome of an active check; return whether it changed `member.healthy`."""
        with self._lock:
            if passed == member.healthy:
                member.checks = 0
                return False
            member.checks += 1
            if member.checks < self._checks:
                return False
            member.checks = 0
            member.healthy = passed
            if passed:
                self._restore(member)
            return True

    def retry_after(self) -> float | None:
        """Return the seconds until the next upstream is tried again; None if that is not known."""
        with self._lock:
            ends = [member.ejected_until for member in self._members if member.healthy]
            return max(0.0, min(ends) - self._clock()) if ends else None

    @staticmethod
    def _restore(member: Member) -> bool:
        was_ejected = member.ejections > 0
        member.ejections = 0
        member.ejected_until = -math.inf
        member.on_trial = False
        return was_ejected
