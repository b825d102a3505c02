"""``basculectl logs --rotate``: puts the log of local mode aside, without losing a line.

supervisord, the workers and nginx write to one file, each by a descriptor of its own. So one
process has to change files, and the others to follow it. A new file is begun beside the log, and
SIGUSR2 has supervisord go on in it (`reopen_output`, by `supervised`). The workers, who write by
way of supervisord's own descriptors, see that within half a second (`bascule.told.log_route`);
nginx is told by SIGUSR1. Once nobody writes to the old file any more it gets its new name, and the
new one the log's. So whoever follows the log by its name finds all of a file before the next one
begins, and all that was written is in one of the two. Copying the file and emptying it would lose
what is written in between.

Where the disk has no room for a new file, or supervisord does not run or is stopped, nothing is
changed.

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
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from bascule_ops import proc
from bascule_ops.supervision.client import Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT: Final = 3.0  # seconds for supervisord to change files; it looks once a second
FOLLOW_LIMIT: Final = 1.5  # and for the others to follow it; workers look twice a second
REOPEN: Final = signal.SIGUSR1  # what has nginx open its logs anew
_PAUSE: Final = 0.02
_ANSWER: Final = 1.0  # seconds for supervisord to say what the log has lost


class RotationError(Exception):
    """The log was not put aside; it goes on as it was."""


def reopen_output(path: str) -> None:
    """Have standard output and error of this process go to the file that was begun for the log.

    Where there is none, they go to the one that has the name.

    Raises:
        OSError: it cannot be opened; they go where they went.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
    try:
        opened = os.open(_new(Path(path)), flags)
    except FileNotFoundError:
        opened = os.open(path, flags | os.O_CREAT, 0o600)
    try:
        for standard in (1, 2):
            os.dup2(opened, standard)
    finally:
        os.close(opened)


class Rotation(NamedTuple):
    """What has become of a rotation.

    Attributes:
        aside: the file that the log was.
        late: who still writes to it.
    """

    aside: Path
    late: list[proc.Part]


def rotate(log: Path, keep: int, pid: int, limit: float = LIMIT) -> Rotation:
    """Put the log aside.

    Args:
        log: the file.
        keep: how many that were put aside are kept; the oldest beyond it goes.
        pid: supervisord.
        limit: seconds that it may take supervisord.

    Raises:
        RotationError: see there.
    """
    if not proc.runs(pid):
        raise RotationError("supervisord does not run, so nobody would begin the new file")
    if proc.state(pid) == proc.STOPPED:
        raise RotationError(f"supervisord would not begin the new file: {proc.why_silent(pid)}")
    with _alone(log.parent):
        inode = log.stat().st_ino
        if not _is_in_new(log, pid):  # else a rotation was cut off, and is finished now
            _make(_new(log))
            os.kill(pid, signal.SIGUSR2)
            try:
                _wait_until_changed(pid, inode, limit)
            except RotationError:
                if not _is_in_new(log, pid):
                    _new(log).unlink(missing_ok=True)
                    raise
        late = _wait_for_others(pid, inode)
        _put_aside(log, keep)
        return Rotation(_aside(log, 1), late)


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


def _is_in_new(log: Path, pid: int) -> bool:
    """Whether a process writes to the new file already."""
    try:
        return _writes_to(pid, _new(log).stat().st_ino)
    except FileNotFoundError:
        return False


def _put_aside(log: Path, keep: int) -> None:
    for number in range(keep, 0, -1):
        older = _aside(log, number)
        if not older.exists():
            continue
        if number == keep:
            older.unlink()
        else:
            older.rename(_aside(log, number + 1))
    log.rename(_aside(log, 1))
    _new(log).rename(log)


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


def _wait_for_others(pid: int, inode: int) -> list[proc.Part]:
    """Return when none of the other parts of the stack writes to a file; else those that do."""
    deadline = time.monotonic() + FOLLOW_LIMIT
    told: set[int] = set()
    while late := [part for part in proc.parts(pid) if _writes_to(part.pid, inode)]:
        for part in late:
            if part.name == "nginx" and part.pid not in told and _catches(part.pid, REOPEN):
                told.add(part.pid)
                os.kill(part.pid, REOPEN)
        if time.monotonic() > deadline:
            return late
        time.sleep(_PAUSE)
    return []


def _catches(pid: int, number: signal.Signals) -> bool:
    """Whether a signal would not end a process, which may have begun just now (proc(5))."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) & 1 << number - 1)
    return False


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
