"""Which workers say nothing: stopped (SIGSTOP), or in a call that keeps the interpreter's lock.

Asked is the thread of a worker that tells how it is (``--status-socket``): it answers whatever the
threads that serve are at, however many requests wait. A worker that loads has no such socket yet.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from bascule_ops import proc
from bascule_ops.supervision.client import ProcessInfo

# In a row, and within the limit, that a worker does not answer before it counts as silent: one that
# is only slow answers some of them.
LOOKS: Final = 8
# Seconds between two looks, at the least and at the most: they cost something, too.
SHORTEST_PACE: Final = 0.5
LONGEST_PACE: Final = 5.0


class Silence:
    """For how long workers have said nothing.

    Args:
        limit: seconds, from the first question on that one did not answer; 0: none is ever silent.
        clock: monotonic, in seconds.

    Attributes:
        pace: seconds that one look takes at the most; as often one is due.
    """

    def __init__(self, limit: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self.pace = min(max(SHORTEST_PACE, limit / LOOKS), LONGEST_PACE)
        self._since: dict[int, tuple[float, int]] = {}  # when it was first asked in vain; how often

    def look(self, run_dir: Path, processes: Collection[ProcessInfo]) -> list[int]:
        """Ask all of these workers; return which of them have been silent for too long."""
        if not self._limit:
            return []
        began = self._clock()
        known, self._since = self._since, {}
        for pid in unanswering(run_dir, processes, self.pace):
            since, looks = known.get(pid, (began, 0))
            self._since[pid] = since, looks + 1
        past = self._clock() - self._limit
        return [
            pid for pid, (since, looks) in self._since.items() if looks >= LOOKS and since <= past
        ]


def unanswering(run_dir: Path, processes: Collection[ProcessInfo], limit: float) -> set[int]:
    """Return who of these is asked how it is, and does not answer within `limit` seconds."""
    with asked(run_dir, processes) as unanswered:
        return unanswered(limit)


@contextmanager
def asked(
    run_dir: Path, processes: Collection[ProcessInfo]
) -> Iterator[Callable[[float], set[int]]]:
    """Ask processes how they are; yields what waits for so many seconds, and returns who is silent.

    They may answer until the block ends, though others have taken their places by then. Whom a
    debugger holds (ptrace) is left to who looks at it.
    """
    silent: set[int] = set()
    waiting: dict[socket.socket, int] = {}

    def unanswered(limit: float) -> set[int]:
        deadline = time.monotonic() + limit
        while waiting and (left := deadline - time.monotonic()) > 0:
            for sock in select.select(list(waiting), [], [], left)[0]:
                del waiting[sock]
        return silent | set(waiting.values())

    with ExitStack() as stack:
        for info in processes:
            if not info["pid"] or proc.state(info["pid"]) == proc.TRACED:
                continue
            sock = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            sock.setblocking(False)
            try:
                sock.connect(str(run_dir / f"worker-{info['name'].rpartition('-')[2]}.status"))
            except BlockingIOError:  # too many have asked it already
                silent.add(info["pid"])
            except OSError:
                continue  # it loads, or has just ended
            else:
                if proc.listener(sock) == info["pid"]:
                    waiting[sock] = info["pid"]
        yield unanswered
