"""The memory that the process has, and a limit to it."""

from __future__ import annotations

import os
from typing import Final

from bascule.errors import StartError

# A look costs some 15 microseconds; this often at the most (seconds).
LOOK_INTERVAL: Final = 1.0
# Processes of one load grow alike, and should not end together: each has a limit of its own, by up
# to this part below the setting.
SPREAD: Final = 10

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def resident() -> int:
    """Return the process's resident set (bytes), pages that it shares with others included."""
    with open("/proc/self/statm", "rb", buffering=0) as statm:
        return int(statm.read(256).split()[1]) * _PAGE  # proc(5): size, resident, ...


class MemoryLimit:
    """What the process may grow to.

    Args:
        most: bytes; 0 for no limit.

    Raises:
        StartError: the process has that much already.
    """

    def __init__(self, most: int) -> None:
        self._limit = most - int.from_bytes(os.urandom(8), "big") % (most // SPREAD + 1)
        self._next_look = 0.0
        if most and (size := resident()) > most - most // SPREAD:
            raise StartError(
                f"--max-memory {most} is too low: the process has {size} bytes before its first "
                f"request, and is to end from {most - most // SPREAD} on"
            )

    def excess(self, now: float) -> int:
        """Return the resident bytes if they are too many, else 0; looks once a second.

        Args:
            now: the monotonic clock, in seconds.
        """
        if not self._limit or now < self._next_look:
            return 0
        self._next_look = now + LOOK_INTERVAL
        size = resident()
        return size if size > self._limit else 0
