"""The process's standard streams, and descriptors of its own to write to.

An application may replace, close, detach or redirect ``sys.stdout`` and ``sys.stderr``, and close
the descriptors beneath them. So nothing of the server's asks ``sys`` for a stream once it has
started: its logs and ``faulthandler`` have duplicates of the descriptors.

The lowest free number is the next descriptor's (open(2)): where standard output is closed, a
client's socket takes its place, and the client reads whatever anybody prints.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import stat
import sys
import threading
from typing import Any, Final

from bascule.guard import Place

STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2
_STANDARD: Final = (STDIN, STDOUT, STDERR)
_NAMES: Final = ("stdin", "stdout", "stderr")

# Linux's PIPE_BUF: writes of up to so many bytes to a pipe are atomic, and do not block where the
# pipe has room at all (pipe(7)).
WRITE_SIZE: Final = 4096
# For how long a reader that does not read is waited for (seconds), once: all requests wait then.
PATIENCE: Final = 1.0

_OUTPUT: Final = Place("output", "Lines of a log are lost")


class Output:
    """Writes to a descriptor; what cannot be written costs lines, and no request.

    A reader that does not read is waited for once; until it reads again, lines are lost at once.

    Args:
        descriptor: is not closed.

    Attributes:
        descriptor: as given.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._is_read = True
        self._end_of_line = b""
        self._begin()
        # In a forked process nobody is there who had the lock, or waits with the poller.
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        # Parts of long lines must not mix. A signal's handler may write in the middle of a write.
        self._lock = threading.RLock()
        self._poll()

    def _poll(self) -> None:
        self._poller: select.poll | None = None
        if not stat.S_ISREG(os.fstat(self.descriptor).st_mode):  # files are always ready
            self._poller = select.poll()
            self._poller.register(self.descriptor, select.POLLOUT)

    def lead_to(self, descriptor: int) -> None:
        """Write to another open file from now on."""
        with self._lock:
            os.dup2(descriptor, self.descriptor, inheritable=False)
            self._poll()

    def write(self, text: str) -> None:
        """Write whole lines; several are kept together as far as the kernel does."""
        data = text.encode("utf-8", "backslashreplace")
        with self._lock:
            while len(data) > WRITE_SIZE:
                end = data.rfind(b"\n", 0, WRITE_SIZE) + 1 or data.index(b"\n") + 1
                self._put(data[:end])
                data = data[end:]
            if data:
                self._put(data)

    def _put(self, data: bytes) -> None:
        is_begun = bool(self._end_of_line)
        data, self._end_of_line = self._end_of_line + data, b""
        size = len(data)
        try:
            while data:
                if self._poller is None:
                    data = data[os.write(self.descriptor, data) :]
                elif self._wait(self._poller):
                    data = data[os.write(self.descriptor, data[:WRITE_SIZE]) :]
                else:
                    raise BlockingIOError("nobody reads it")
        except OSError as error:
            _OUTPUT.note(error)
            if len(data) < size or is_begun:
                self._end_of_line = b"\n"  # nothing else stands on the line that was begun

    def _wait(self, poller: select.poll) -> bool:
        """Wait until somebody reads, or has been waited for in vain."""
        self._is_read = bool(poller.poll(PATIENCE * 1000 if self._is_read else 0))
        return self._is_read


_owned: Final[dict[int, Output]] = {}


def own(number: int) -> Output:
    """Return what writes to the server's own duplicate of standard output or standard error.

    It is made at the first call: before the application is loaded, which may do anything to them.
    """
    if number not in _owned:
        _owned[number] = Output(fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, STDERR + 1))
    return _owned[number]


def lead(number: int, path: str) -> None:
    """Lead standard output or standard error to the end of a file, which is made if need be.

    Raises:
        OSError: it cannot be opened.
    """
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    os.dup2(opened, number)
    own(number).lead_to(opened)
    os.close(opened)


def secure() -> None:
    """See that the standard descriptors and streams are there; to be called first of all.

    A process may be started without some (``2>&-``). They lead to /dev/null then.
    """
    restore()
    for number, name in enumerate(_NAMES):
        if getattr(sys, name) is None:
            mode = "r" if number == STDIN else "w"
            stream = open(number, mode, errors="backslashreplace", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
    for number in (STDOUT, STDERR):
        own(number)


def restore() -> None:
    """Open the standard descriptors again that somebody has closed."""
    for number in _STANDARD:
        try:
            os.fstat(number)
        except OSError:
            _open(number)


def evade(descriptor: int) -> int:
    """Return a descriptor that is none of the standard ones, for the same open file.

    The number that becomes free is what it should be again.
    """
    if descriptor > STDERR:
        return descriptor
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, STDERR + 1)
    _open(descriptor)
    return moved


def _open(number: int) -> None:
    """Give a standard descriptor that is something else, or closed, what it was, or /dev/null."""
    if number in _owned:
        os.dup2(_owned[number].descriptor, number)
        return
    found = os.open(os.devnull, os.O_RDWR)
    if found != number:
        os.dup2(found, number)
        os.close(found)
    os.set_inheritable(number, True)


def flush() -> None:
    """Flush what was printed; what cannot be written is given up, so that the exit status stays.

    The interpreter ends with status 120 where it cannot flush a stream (``Py_FinalizeEx``).
    """
    for name in _NAMES[STDOUT:]:
        stream: Any = getattr(sys, name, None)
        try:
            stream.flush()
        except BaseException:  # an application may have put anything there
            setattr(sys, name, None)
            with contextlib.suppress(BaseException):  # else its end says so, from Python 3.13 on
                stream.close()
