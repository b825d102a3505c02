"""Who is called next: tasks that wait, and the places for their calls.

N calls are made at a time. Whatever some kinds of calls suffer from, others are served:

* Where fast calls come among slow ones, the slow ones leave one of the N places to them, so that a
  fast one does not wait for a slow one to end.
* Kinds of calls that have been seen to be long hold N - 1 places together at the most.
* That comes too late for a burst of a kind that nobody has seen before. So where all N places are
  held by calls that are long by now, one further place opens, for other kinds.
* A call that was given up holds no place. So that the threads stay bounded, this is so for the
  first N of them; each further one costs a place. So once N hang, further calls of their kinds have
  none, and the others have all that are left; once 2 N hang, nobody has. Who waits for a place then
  waits in vain.

Nothing here waits or reads a clock; whoever asks holds the lock of the crew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Hashable
from typing import Final, NamedTuple

from bascule.engine.call import Call, Task
from bascule.engine.expectations import LONG, Expectations

# The slow leave a place to the fast if there are this many; of fewer it would cost too much.
PLACES_TO_SPARE: Final = 4
# For how long after a fast call beside slow ones (seconds).
FAST_MEMORY: Final = 1.0


class _Free(NamedTuple):
    """For whom there is a place: for calls expected to be long, slow, or neither."""

    long: bool
    slow: bool
    others: bool


_FREE: Final = _Free(long=True, slow=True, others=True)


class Places:
    """Tasks that wait, and who of them is next.

    Args:
        threads: N, two or more.
        expected: what is known of the kinds.

    Attributes:
        ready: tasks that nobody has looked at yet; the leader appends to it.
        slow: those that are expected to be, and wait though a place may be free for others.
        long: the same of those that are expected to be long.
    """

    def __init__(self, threads: int, expected: Expectations) -> None:
        self._threads = threads
        self._expected = expected
        self.ready: deque[Task] = deque()
        self.slow: deque[Task] = deque()
        self.long: deque[Task] = deque()
        self._spare_until = 0.0
        self._hung = 0
        self._closed: frozenset[Hashable] = frozenset()  # kinds that have no place

    def __len__(self) -> int:
        """Return how many tasks wait."""
        return len(self.ready) + len(self.slow) + len(self.long)

    def note_fast(self, now: float) -> None:
        """Note that a call was fast beside others."""
        self._spare_until = now + FAST_MEMORY

    def note_hung(self, kinds: Collection[Hashable]) -> None:
        """Note the calls that were given up and have not ended, each by its kind."""
        self._hung = len(kinds)
        self._closed = frozenset(kinds) if self._hung >= self._threads else frozenset()

    @property
    def has_hopeless(self) -> bool:
        """Whether somebody waits in vain."""
        return bool(self._closed) and any(
            map(self._is_hopeless, (*self.ready, *self.slow, *self.long))
        )

    def take_hopeless(self) -> list[Task]:
        """Take the tasks that wait in vain: no call that may yet end makes a place for them."""
        found: list[Task] = []
        if self._closed:
            for line in (self.ready, self.slow, self.long):
                for _ in range(len(line)):
                    task = line.popleft()
                    (found if self._is_hopeless(task) else line).append(task)
        return found

    def _is_hopeless(self, task: Task) -> bool:
        return task.kind in self._closed or not self.regular(self._hung)

    def regular(self, hung: int) -> int:
        """Return how many places there are, the further one left out.

        Args:
            hung: how many calls were given up and have not ended.
        """
        return min(self._threads, 2 * self._threads - hung)

    def take(self, calls: Collection[Call], now: float) -> Task | None:
        """Take the task that is next; None where nobody who waits has a place.

        Args:
            calls: that are being made, those that were given up too.
            now: on the clock by which they were started (seconds).
        """
        free, expected = self._free(calls, now), self._expected
        if free.long and (first := self._first_long()) is not None:
            self.long.remove(first)
            return first
        lines = [self.slow] if free.slow else []
        for line in [*lines, self.ready] if free.others else lines:
            while line:
                task = line.popleft()
                is_closed = task.kind in self._closed
                if is_closed or expected.is_long(task.kind):
                    if free.long and not is_closed:
                        return task
                    self.long.append(task)
                elif free.slow or not expected.is_slow(task.kind):
                    return task
                else:
                    self.slow.append(task)
        return None

    def are_taken(self, calls: Collection[Call], now: float) -> bool:
        """Return whether nobody who waits has a place, as far as is known yet of ``ready``."""
        free = self._free(calls, now)
        return not (
            (free.others and self.ready)
            or (free.slow and self.slow)
            or (free.long and self._first_long() is not None)
        )

    def _first_long(self) -> Task | None:
        closed = self._closed
        return next((task for task in self.long if task.kind not in closed), None)

    def take_surplus(self, backlog: int) -> list[Task]:
        """Take the tasks that are more than may wait, the latest first."""
        count = len(self) - backlog
        return [(self.ready or self.slow or self.long).pop() for _ in range(count)]

    def _free(self, calls: Collection[Call], now: float) -> _Free:
        live = [call for call in calls if not call.is_abandoned]
        places = self.regular(len(calls) - len(live))
        if len(live) < places - 1:
            return _FREE
        expected = self._expected
        old = [call for call in live if now - call.started >= LONG]
        for call in old:
            expected.note_long(call.task.kind)
        are_old = len(old) == len(live)
        if len(live) >= places:
            is_further = are_old and 0 < places == len(live)
            return _Free(long=False, slow=is_further, others=is_further)
        # Beside long calls alone the last place is for all others: they would have none.
        is_spared = self._threads >= PLACES_TO_SPARE and now < self._spare_until and not are_old
        long = sum(expected.is_long(call.task.kind) for call in live)
        return _Free(
            long=not is_spared and long < max(1, places - 1), slow=not is_spared, others=True
        )
