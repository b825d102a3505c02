"""What is being done to the workers on purpose, for whoever sees one of them missing.

Who restarts or replaces workers holds a lock, and tells in a file where it is. What that file
says while nobody holds the lock is over, however it ended.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypedDict, cast

from bascule_ops import atomic

LOCK_FILE: Final = "restart.lock"
FILE: Final = "operation.json"


class Operation(TypedDict):
    """What is going on.

    Attributes:
        kind: ``restart`` of one process after the other, or ``deployment``, which may have any
            worker replaced at any time, and somebody serve in its place.
        process: whose turn it is, such as ``worker-1``; empty for nobody's.
        number, of: its turn is which one of how many.
    """

    kind: str
    process: str
    number: int
    of: int


Tell = Callable[[Operation], None]


@contextmanager
def alone(supervisor_dir: Path, *, waits: bool = True) -> Iterator[Tell]:
    """Keep others waiting who replace workers, for as long as the block.

    The block is given a function that tells where it is. `waits`: for whoever is at it already;
    else the block is done beside that, and tells nothing.
    """
    path = supervisor_dir / FILE

    def tell(operation: Operation) -> None:
        with suppress(OSError):  # a full disk: it is done all the same, and nobody is told
            atomic.write(path, json.dumps(operation))

    with (supervisor_dir / LOCK_FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield lambda _: None
            return
        path.unlink(missing_ok=True)
        try:
            yield tell
        finally:
            path.unlink(missing_ok=True)


def read(supervisor_dir: Path) -> Operation | None:
    """What is going on; None for nothing, or for nothing that was told."""
    try:
        with (supervisor_dir / LOCK_FILE).open("rb") as lock:
            if _is_free(lock.fileno()):
                return None
        found = json.loads((supervisor_dir / FILE).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return cast(Operation, found)


def _is_free(descriptor: int) -> bool:
    """Whether nobody holds the lock. To find out it is taken for a moment, which delays nobody."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
