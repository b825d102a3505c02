"""Counts requests in shared memory: exact across all processes of a machine, without a server.

The table is a file that all workers map. It has a fixed size, and is a hash table of sets of
`WAYS` entries; an entry is a key's digest, its TAT (see `rates`) and its tolerance.

- **Locks** are the kernel's, on the bytes of a set (fcntl(2), "Advisory record locking"): it takes
  them back from a process that is killed. They are a process's, not a thread's, so a mutex stands
  before them; with it a process waits for one lock at a time, and nothing can deadlock.
- **A kill in mid-update** loses one request's count at most: a TAT is stored in one step, and a new
  entry counts only once its TAT is there, the last thing that is written.
- **Floods:** a new key takes an entry that counts nothing any more, else the one that has used the
  least share of its burst; one that is being refused is never taken. Where a set holds none but
  such, the new key is admitted uncounted, and logged.
- **Keys** are digests under a secret that is in the file: nobody can choose two keys that meet in
  one entry, or many that meet in one set.

The clock is CLOCK_MONOTONIC, which all processes of a boot share.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from time import monotonic_ns

from bascule_middleware.links.ratelimit.rate_file import HEADER_BYTES, open_file
from bascule_middleware.links.ratelimit.rate_store import Claim, key_digest
from bascule_middleware.links.ratelimit.rates import Rate, credit, spent
from bascule_middleware.links.ratelimit.throttle import Throttle

WAYS = 8
ENTRY_BYTES = 32  # digest (16 bytes), TAT, tolerance
SET_BYTES = WAYS * ENTRY_BYTES  # four cache lines

# Places of the words in an entry, in words of 8 bytes.
_TAT, _TOLERANCE, _ENTRY_WORDS = 2, 3, 4

MEMO_ENTRIES = 4096  # keys in turn on one worker
MEMO_LENGTH = 256  # characters of a key; longer ones are hashed each time

_log = logging.getLogger("bascule.ratelimit")


class Table:
    """The table in a file. A process has one object a file: see `shared_table`."""

    def __init__(self, path: Path, entries: int, clock: Callable[[], int] = monotonic_ns) -> None:
        """Open the file at `path`, or make it with room for `entries`.

        `clock`: nanoseconds, the same in all processes. Raises OSError where the file cannot be
        used, and NotOursError of rate_file.
        """
        file = open_file(path, -(-entries // WAYS) * SET_BYTES)
        self._clock = clock
        self._fd = file.fd
        self._sets = file.body_bytes // SET_BYTES
        self._secret = file.secret
        self._map = mmap.mmap(file.fd, HEADER_BYTES + file.body_bytes)
        self._words = memoryview(self._map).cast("Q")
        self._place = lru_cache(MEMO_ENTRIES)(self._hashed)
        self._mutex = threading.Lock()
        self._full = Throttle(60)
        os.register_at_fork(after_in_child=self._forked)
        if self.entries != -(-entries // WAYS) * WAYS:
            _log.warning(
                "%s has %d entries, not %d, until it is made anew: remove it while nothing runs",
                path,
                self.entries,
                entries,
                extra={"event": "rate_table_kept"},
            )

    @property
    def entries(self) -> int:
        """How many keys have room."""
        return self._sets * WAYS

    def take(self, claims: Sequence[Claim]) -> tuple[bool, list[int]]:
        """Admit and count a request, or refuse it: `take` of rate_store.Store."""
        places = []
        for limit, parts in claims:
            length = sum(map(len, parts))
            place = self._place if length <= MEMO_LENGTH else self._hashed
            places.append((*place(limit.definition, parts), limit.rate))
        starts = [start for _, start, _ in places]
        first, length = min(starts), max(starts) - min(starts) + SET_BYTES
        with self._mutex:
            fcntl.lockf(self._fd, fcntl.LOCK_EX, length, first)
            try:
                admitted, credits_left, uncounted = self._decide(places)
            finally:
                fcntl.lockf(self._fd, fcntl.LOCK_UN, length, first)
        if uncounted:
            self._tell_full()
        return admitted, credits_left

    def _decide(self, places: Sequence[tuple[bytes, int, Rate]]) -> tuple[bool, list[int], int]:
        """Decide under the lock. Returns the result of `take`, and how many found no room."""
        now = self._clock()
        tats, credits_left, admitted = [], [], True
        for digest, start, rate in places:
            at = self._find(digest, start)
            tat = self._words[at + _TAT] if at >= 0 else 0
            left = credit(tat, now, rate.capacity)
            admitted = admitted and left >= rate.interval
            tats.append(tat)
            credits_left.append(left)
        if not admitted:
            return False, credits_left, 0
        uncounted = 0
        for number, (digest, start, rate) in enumerate(places):
            # Found anew: making room for the one before may have taken the place of this one.
            at = self._find(digest, start)
            if at < 0:
                at = self._insert(digest, start, rate, now)
            if at >= 0:
                self._words[at + _TAT] = spent(tats[number], now, rate.interval)
            else:
                uncounted += 1
            credits_left[number] -= rate.interval
        return True, credits_left, uncounted

    def _find(self, digest: bytes, start: int) -> int:
        """Return the place of a key's entry, in words; negative: it has none."""
        return self._map.find(digest, start, start + SET_BYTES) >> 3

    def _insert(self, digest: bytes, start: int, rate: Rate, now: int) -> int:
        """Return the place, in words, of a new entry whose TAT is still to be set; -1: no room."""
        at = self._room(start >> 3, now)
        if at >= 0:
            self._words[at + _TAT] = 0  # until all the rest is there, it counts nothing
            self._map[at << 3 : (at << 3) + len(digest)] = digest
            self._words[at + _TOLERANCE] = rate.capacity - rate.interval
        return at

    def _room(self, start: int, now: int) -> int:
        """Return the entry of a set that a new key may take: the one that is missed least."""
        words = self._words
        best, least = -1, 1.0
        for at in range(start, start + WAYS * _ENTRY_WORDS, _ENTRY_WORDS):
            debt, tolerance = words[at + _TAT] - now, words[at + _TOLERANCE]
            if debt <= 0:
                return at
            # A debt past the tolerance is a key that is being refused.
            if debt <= tolerance and (best < 0 or debt / tolerance < least):
                best, least = at, debt / tolerance
        return best

    def _hashed(self, definition: str, parts: tuple[str, ...]) -> tuple[bytes, int]:
        """Return a key's digest, and where its set begins in the file."""
        hashed = key_digest(definition, parts, self._secret)
        number = int.from_bytes(hashed[:8], "little") % self._sets
        return hashed, HEADER_BYTES + number * SET_BYTES

    def _tell_full(self) -> None:
        if self._full.kept_back() is not None:
            _log.warning(
                "the table of rate limits is full of clients being refused, so that a new one"
                " was admitted uncounted; more entries would help",
                extra={"event": "rate_table_full", "entries": self.entries},
            )

    def _forked(self) -> None:
        self._mutex = threading.Lock()  # a thread that is not in this process may hold the old one


_tables: dict[tuple[int, int], Table] = {}
_opening = threading.Lock()


def shared_table(path: Path, entries: int) -> Table:
    """Return this process's one table of a file.

    Only one, and never closed: locks are the process's, so two would not exclude each other, and
    closing any descriptor of the file would drop the locks of all.
    """
    with _opening:
        try:
            known = path.stat()
            table = _tables.get((known.st_dev, known.st_ino))
        except FileNotFoundError:
            table = None
        if table is None:
            table = Table(path, entries)
            known = path.stat()
            _tables[known.st_dev, known.st_ino] = table
        return table
