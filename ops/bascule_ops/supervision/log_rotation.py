"""``basculectl logs --rotate``: puts the log of local mode aside, without losing a line.

In local mode all processes write to pipes, and supervisord copies what comes to its own output, the
log file. So one process has to change files. The file is renamed: supervisord goes on writing to
it, under its new name, until SIGUSR2 makes it open the log's name anew (`reopen_output`, by
`supervised`). It does that between two copies, so that all that was written is in one of the
two files. Copying the file and emptying it would lose what is written in between.

With containers the engine rotates (docker-compose.yml, ``logging``).
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT: Final = 10.0  # seconds for supervisord to change files; it looks once a second
_PAUSE: Final = 0.02


class RotationError(Exception):
    """The log was not put aside, or is still written to; nothing is lost either way."""


def reopen_output(path: str) -> None:
    """Have standard output and error of this process go to the file that has the name now.

    Raises:
        OSError: it cannot be opened; they go where they went.
    """
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        for standard in (1, 2):
            os.dup2(opened, standard)
    finally:
        os.close(opened)


def rotate(log: Path, keep: int, pid: int, limit: float = LIMIT) -> Path:
    """Put the log aside; return its new path when nobody writes to it any more.

    Args:
        log: the file.
        keep: how many that were put aside are kept; the oldest beyond it goes.
        pid: supervisord.
        limit: seconds that it may take.

    Raises:
        RotationError: see there.
    """
    with _alone(log.parent):
        inode = log.stat().st_ino
        for number in range(keep, 0, -1):
            older = _aside(log, number)
            if not older.exists():
                continue
            if number == keep:
                older.unlink()
            else:
                older.rename(_aside(log, number + 1))
        log.rename(_aside(log, 1))
        os.kill(pid, signal.SIGUSR2)
        deadline = time.monotonic() + limit
        while _writes_to(pid, inode):
            if time.monotonic() > deadline:
                raise RotationError(
                    f"supervisord (process {pid}) still writes to {_aside(log, 1)}: "
                    "no line is lost, but no new file was begun"
                )
            time.sleep(_PAUSE)
        return _aside(log, 1)


def _aside(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")


def _writes_to(pid: int, inode: int) -> bool:
    """Whether a process has a file open."""
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if descriptor.stat().st_ino == inode:
                return True
        except FileNotFoundError:  # closed meanwhile, or a socket that has no file
            continue
    return False


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Have no other rotation at the same time."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RotationError("the log is being rotated just now by somebody else") from None
        yield
    finally:
        os.close(descriptor)
