"""How long calls are likely to take, by their kinds: those before tell."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

# What counts as a slow call (seconds): so long may one call delay the others, once.
SLOW: Final = 0.005
# What counts as a long call (seconds): who waits for one notices.
LONG: Final = 1.0
# A kind of call counts as slow, or as long, until this many of its calls in a row were not.
MEMORY: Final = 8
# Kinds that are remembered; more are forgotten all at once.
KINDS: Final = 1024
# Of calls whose kind is unknown: how much the last one weighs in the share that were slow, and
# from which share on the next is expected to be slow.
LAST_CALL: Final = 0.125
CAUTION: Final = 0.25


class Expectations:
    """What is expected; approximate, so that several threads may note it without a lock.

    Attributes:
        call_time: what a call takes on average (seconds).
        slow_kinds: those that count as slow, and for how many more calls.
        slow_share: of calls whose kind is unknown, how many are slow.
    """

    __slots__ = ("_long_kinds", "call_time", "slow_kinds", "slow_share")

    def __init__(self) -> None:
        self.call_time = 0.0
        self.slow_kinds: dict[Hashable, int] = {}
        self.slow_share = 0.0
        self._long_kinds: dict[Hashable, int] = {}

    def is_slow(self, kind: Hashable) -> bool:
        """Return whether a call is likely to be slow."""
        return kind in self.slow_kinds or self.slow_share > CAUTION or kind in self._long_kinds

    def is_long(self, kind: Hashable) -> bool:
        """Return whether calls of this kind have been seen to be long."""
        return kind in self._long_kinds

    def note(self, kind: Hashable, spent: float) -> None:
        """Note what a call took (seconds)."""
        self.note_time(spent)
        if spent < SLOW:
            self._note_fast(kind)
        else:
            self.note_slow(kind)
        if spent >= LONG:
            self.note_long(kind)
        else:
            _count_down(self._long_kinds, kind)

    def note_time(self, spent: float) -> None:
        """Note what calls took on average (seconds), of whatever kinds they are."""
        self.call_time += (spent - self.call_time) * LAST_CALL

    def note_slow(self, kind: Hashable) -> None:
        """Note that a call was slow, or is by now."""
        if kind not in self.slow_kinds:
            self.slow_share += (1 - self.slow_share) * LAST_CALL
        _remember(self.slow_kinds, kind)

    def note_long(self, kind: Hashable) -> None:
        """Note that a call was long, or is by now."""
        _remember(self._long_kinds, kind)

    def _note_fast(self, kind: Hashable) -> None:
        if kind in self.slow_kinds:
            _count_down(self.slow_kinds, kind)
        else:
            self.slow_share *= 1 - LAST_CALL


def _remember(kinds: dict[Hashable, int], kind: Hashable) -> None:
    if kind not in kinds and len(kinds) >= KINDS:
        kinds.clear()
    kinds[kind] = MEMORY


def _count_down(kinds: dict[Hashable, int], kind: Hashable) -> None:
    """Note that a call of this kind was another; forget it where that was the last of many."""
    left = kinds.get(kind, 0)
    if left > 1:
        kinds[kind] = left - 1
    elif left:
        kinds.pop(kind, None)
