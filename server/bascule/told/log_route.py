"""The way past whoever copies standard output and standard error: lines go straight to their end.

A supervisor that pipes the output of its programs reads each line, and writes it again. So the
directory with its own descriptors is named (``--log-route``, such as ``/proc/1/fd``): in there 1
and 2 are where its output leads, a file or a container's pipe. They are opened anew, so that
O_NONBLOCK is this process's own, and again as soon as they lead elsewhere: when the log is rotated.

Several processes write there, and none into another's line. The kernel appends each write to a
file as a whole (O_APPEND, open(2)), and keeps those of up to PIPE_BUF bytes together in a pipe
(pipe(7)). A process with a longer line has the pipe to itself meanwhile (flock(2)).

Nobody waits. What a pipe does not take is kept, up to a limit; lines beyond are lost, and counted.
"""

from __future__ import annotations

import fcntl
import logging
import os
import stat
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Final

from bascule import streams
from bascule.streams import STDERR, STDOUT, WRITE_SIZE, Output
from bascule.told.event_log import event

# Bytes of lines that are kept for a reader that does not read: of a quarter of a second, at full
# load.
MOST_WAITING: Final = 1 << 20
# How long a reader is waited for at the end of the process (seconds), and between two tries.
PATIENCE: Final = 1.0
PAUSE: Final = 0.01


class Route:
    """Writes to what a path leads to.

    Args:
        path: as above.
        instead: what a forked process writes to: nobody there would see the log rotated.

    Attributes:
        is_file: whether it leads to a file; else to a pipe, a terminal or a device.
        waiting: lines that are yet to be written, in pieces.
        lost: lines that could not be written.
        why: what kept the last of them from being written.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: str, instead: Output) -> None:
        self.lost = 0
        self.why = ""
        self._path = path
        self._instead = instead
        self._is_forked = False
        # A signal's handler may write in the middle of a write.
        self._lock = threading.RLock()
        self.waiting: deque[bytes] = deque()
        self._size = 0
        self._is_sending = False
        self._is_cut = False
        self._held = fcntl.LOCK_UN
        self._descriptor = _opened(path)
        self.is_file = _is_file(self._descriptor)
        os.register_at_fork(after_in_child=self._let_go)

    def _let_go(self) -> None:
        self._lock = threading.RLock()  # nobody is there who had it
        self._is_forked = True
        os.close(self._descriptor)

    def write(self, text: str) -> None:
        """Write whole lines, or keep them for a moment; never waits."""
        with self._lock:
            if self._is_forked:
                self._instead.write(text)
                return
            data = text.encode("utf-8", "backslashreplace")
            if self.is_file:
                self._append(data)
            elif self._size + len(data) > MOST_WAITING:
                self._lose(data, BlockingIOError("nobody reads it"))
            else:
                self.waiting += pieces(data)
                self._size += len(data)
                self._send()

    def send(self) -> None:
        """Write what waits, as far as it is taken."""
        with self._lock:
            if not self._is_forked:
                self._send()

    def tend(self) -> None:
        """Change to what the path leads to by now; to be called now and then.

        Where it cannot be opened, lines go where they went.
        """
        if self._is_forked or not self.is_file:
            return
        with suppress(OSError):
            there, here = os.stat(self._path), os.fstat(self._descriptor)
            if not os.path.samestat(there, here):
                self._change(_opened(self._path))

    def _change(self, descriptor: int) -> None:
        with self._lock:
            self._descriptor, before = descriptor, self._descriptor
            self._is_cut = False
        os.close(before)

    def settle(self) -> None:
        """Send what waits, at the end of the process; the reader is waited for, not for ever."""
        deadline = time.monotonic() + PATIENCE
        while self.waiting and not self._is_forked and time.monotonic() < deadline:
            time.sleep(PAUSE)
            self.send()

    def _append(self, data: bytes) -> None:
        """Write to a file, which takes all there is unless its disk is full."""
        begun = b"\n" if self._is_cut else b""  # nothing else stands on the line that was begun
        rest = begun + data
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            self._is_cut = False
        except OSError as error:
            if len(rest) < len(begun) + len(data):
                self._is_cut = not (begun + data)[: -len(rest)].endswith(b"\n")
            self._lose(rest[-len(data) :], error)

    def _send(self) -> None:
        """Write to a pipe as much as it takes now."""
        if self._is_sending:  # a signal's handler writes; who was interrupted goes on
            return
        self._is_sending = True
        try:
            with suppress(BlockingIOError):
                while self.waiting and self._has_turn(self.waiting[0]):
                    self._send_first()
            if not self._is_cut:
                self._take(fcntl.LOCK_UN)
        finally:
            self._is_sending = False

    def _send_first(self) -> None:
        piece = self.waiting[0]
        try:
            size = os.write(self._descriptor, piece)
        except BlockingIOError:
            raise
        except OSError as error:
            size = len(piece)
            self._lose(piece, error)
        self._size -= size
        self._is_cut = size < len(piece)
        if self._is_cut:
            self.waiting[0] = piece[size:]
        else:
            self.waiting.popleft()

    def _has_turn(self, piece: bytes) -> bool:
        """Whether no other process writes a long line, and nobody at all beside one of ours."""
        if self._is_cut:  # the long line is ours
            return True
        return self._take(fcntl.LOCK_EX if len(piece) > WRITE_SIZE else fcntl.LOCK_SH)

    def _take(self, how: int) -> bool:
        if how == self._held:
            return True
        try:
            fcntl.flock(self._descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # nothing of the kind can be locked here
            return True
        self._held = how
        return True

    def _lose(self, data: bytes, error: OSError) -> None:
        self.lost += data.count(b"\n")
        self.why = error.strerror or str(error)


class LogRoute:
    """Where lines go that are for standard output and for standard error.

    Args:
        directory: as above; empty: they go to this process's own.

    Attributes:
        output: what takes those for standard output.
        error: those for standard error.
    """

    def __init__(self, directory: str) -> None:
        self._routes: list[Route] = []
        self._told = 0
        self.output = self._open(directory, STDOUT)
        self.error = self._open(directory, STDERR)
        self._pipes = [route for route in self._routes if not route.is_file]

    def _open(self, directory: str, number: int) -> Output | Route:
        own = streams.own(number)
        if not directory:
            return own
        try:
            route = Route(f"{directory}/{number}", own)
        except OSError as error:
            event(
                logging.WARNING,
                "log_not_reopened",
                f"cannot open {directory}/{number}: {error.strerror}; whoever reads the output of "
                "this process has its lines",
            )
            return own
        self._routes.append(route)
        return route

    @property
    def is_waiting(self) -> bool:
        """Whether a pipe was full: `send` is to be called soon."""
        # Asked at each turn of the loop; a file takes all there is.
        return bool(self._pipes) and any(route.waiting for route in self._pipes)

    def send(self) -> None:
        """Write what waits, as far as it is taken."""
        for route in self._pipes:
            route.send()

    def settle(self) -> None:
        """See what is written off, at the end of the process."""
        for route in self._routes:
            route.settle()

    def tend(self) -> None:
        """Follow the log where it is rotated, and say what it has lost; to be called each tick."""
        for route in self._routes:
            route.tend()
        self.send()
        lost = sum(route.lost for route in self._routes)
        if lost > self._told:
            lines, self._told = lost - self._told, lost
            why = next(route.why for route in self._routes if route.why)
            words = f"{lines} lines of the log are lost: {why}"
            event(logging.ERROR, "log_lost", words, lines=lines, why=why)


def pieces(data: bytes) -> list[bytes]:
    """Split lines into what a pipe keeps together: as many as fit, or one that is longer."""
    found = []
    while len(data) > WRITE_SIZE:
        end = data.rfind(b"\n", 0, WRITE_SIZE) + 1 or data.find(b"\n") + 1 or len(data)
        found.append(data[:end])
        data = data[end:]
    if data:
        found.append(data)
    return found


def _opened(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC)


def _is_file(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)
