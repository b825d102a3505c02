"""``basculectl logs --rotate``: puts the log of local mode aside, without losing a line.

In local mode all processes write to pipes, and supervisord copies what comes to its own output, the
log file. So one process has to change files. The file is renamed: supervisord goes on writing to
it, under its new name, until SIGUSR2 makes it open the log's name anew (`reopen_output`, by
`supervised`). It does that between two copies, so that all that was written is in one of the
two files. Copying the file and emptying it would lose what is written in between.

The new file is made before anything is renamed: where the disk has no room for it, or supervisord
does not run or is stopped, nothing is changed.

With containers the engine rotates (docker-compose.yml, ``logging``).
"""

from __future__ import annotations

import fcntl
import http.client
import os
import signal
import time
import xmlrpc.client
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from bascule_ops import proc
from bascule_ops.supervision.client import Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT: Final = 3.0  # seconds for supervisord to change files; it looks once a second
_PAUSE: Final = 0.02
_ANSWER: Final = 1.0  # seconds for supervisord to say what the log has lost


class RotationError(Exception):
    """The log was not put aside; it goes on as it was."""


def reopen_output(path: str) -> None:
    """Have standard output and error of this process go to the file that has the name now.

    Raises:
        OSError: it cannot be opened; they go where they went.
    """
    new = _new(Path(path))
    is_made = new.exists() and not Path(path).exists()
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    opened = os.open(new if is_made else path, flags, 0o600)
    try:
        for standard in (1, 2):
            os.dup2(opened, standard)
        if is_made:
            new.rename(path)
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
    if not proc.runs(pid):
        raise RotationError("supervisord does not run, so nobody would begin the new file")
    if proc.state(pid) == proc.STOPPED:
        raise RotationError(f"supervisord would not begin the new file: {proc.why_silent(pid)}")
    with _alone(log.parent):
        inode = log.stat().st_ino
        _make(_new(log))
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
        try:
            _wait_until_changed(pid, inode, limit)
        except RotationError:
            _put_back(log, keep)
            raise
        return _aside(log, 1)


def lost(supervisor_dir: Path) -> dict[str, Any] | None:
    """What the file that was put aside last is without (`log_writing.Lost`).

    None where supervisord does not tell.
    """
    supervisor = Supervisor(f"{supervisor_dir}/supervisor.sock", timeout=_ANSWER)
    try:
        with closing(supervisor):
            return cast(dict[str, Any], supervisor.lost_log()["aside"])
    except (OSError, http.client.HTTPException, xmlrpc.client.Error):
        return None


def _new(log: Path) -> Path:
    """What the new file is called until somebody writes to it: who follows waits for the log."""
    return log.with_name(f"{log.name}.new")


def _make(new: Path) -> None:
    try:
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise RotationError(
            f"no new file can be begun in {new.parent}: {error.strerror}. The log goes on as it was"
        ) from error


def _put_back(log: Path, keep: int) -> None:
    """Give the files their names back; only what was too old to be kept stays away."""
    try:
        os.link(_aside(log, 1), log)
    except FileExistsError:  # it has changed after all, in this instant
        return
    _aside(log, 1).unlink()
    for number in range(1, keep):
        if _aside(log, number + 1).exists():
            _aside(log, number + 1).rename(_aside(log, number))
    _new(log).unlink(missing_ok=True)


def _wait_until_changed(pid: int, inode: int, limit: float) -> None:
    """Return when a process writes to another file. Raises `RotationError`."""
    deadline = time.monotonic() + limit
    while _writes_to(pid, inode):
        if time.monotonic() > deadline:
            raise RotationError(
                f"supervisord (process {pid}) did not begin the new file within {limit:g} s: "
                "no line is lost, and the log goes on as it was"
            )
        time.sleep(_PAUSE)
    if not proc.runs(pid):
        raise RotationError(f"supervisord (process {pid}) has ended")


def _aside(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")


def _writes_to(pid: int, inode: int) -> bool:
    """Whether a process has a file open."""
    with suppress(OSError):  # it has ended
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile, or a socket that has no file
                if descriptor.stat().st_ino == inode:
                    return True
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
