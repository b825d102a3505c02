"""The file of ``--pid``: it has the number of the process while that serves.

It is locked (flock(2)) for as long as the process lives, so that one which was left behind is told
from one that is in use, whatever process has its number by now.
"""

from __future__ import annotations

import contextlib
import fcntl
import os

from bascule.errors import StartError


class PidFile:
    """Takes the file for this process.

    Args:
        path: absolute.

    Raises:
        StartError: another process has it, or it cannot be written.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._descriptor = _locked(path)
        except BlockingIOError:
            with open(path, encoding="ascii", errors="replace") as file:
                owner = file.read(20).strip() or "another"
            raise StartError(f"--pid: process {owner} runs with {path}") from None
        except OSError as error:
            raise StartError(f"--pid: cannot write {path}: {error.strerror}") from error

    def write(self) -> None:
        """Say which process it is."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Leave it to the process that forked this one."""
        os.close(self._descriptor)

    def remove(self) -> None:
        """Remove the file."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)


def _locked(path: str) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)  # its owner removed it just now
