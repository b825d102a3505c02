"""Signals that would end the process: SIGTERM while it loads, and those that nobody handles.

Once the server runs, the loop is told of the others (``Loop.watch_signals``).
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
from collections.abc import Callable
from typing import Final

# What the server takes for itself.
TAKEN: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
# Their default action ends a process (signal(7)); an application's timer may send them, a terminal
# that is closed, and who is used to gunicorn.
ENDING: Final = (
    *(signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGHUP),
    *(signal.SIGUSR2, signal.SIGIO, signal.SIGQUIT),
)

_END: Final = b"\0"
_STOPPED: Final = b"bascule: stopped by SIGTERM while the application was loaded\n"


class StopWhileLoading:
    """Ends the process at SIGTERM, for as long as the application is loaded.

    The default action would leave sockets behind, and there is none for process 1. The main thread
    may be inside of C code, which waits for a database for one; so another one acts as well.

    Args:
        before_end: removes what is to be removed; any thread may call it.
        exit_code: of the process.
    """

    def __init__(self, before_end: Callable[[], None], exit_code: int) -> None:
        self._before_end = before_end
        self._exit_code = exit_code
        self._is_stopping = _thread.allocate_lock()  # held by whoever of the two is first
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._writer, False)
        self._before = signal.signal(signal.SIGTERM, self._on_signal)

    def watch(self) -> None:
        """Have a thread act too; before this the process has none but the main one."""
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        # Not by ``threading``, which the application may replace while the thread runs.
        _thread.start_new_thread(self._read, ())

    def end(self) -> None:
        """Give the signal back: the application is not loaded after all."""
        signal.signal(signal.SIGTERM, self._before)
        signal.set_wakeup_fd(-1)
        self.close()

    def close(self) -> None:
        """Do no more; somebody else takes the signal by now."""
        os.write(self._writer, _END)  # the thread's; processes forked meanwhile have the pipe too
        os.close(self._writer)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._stop()

    def _read(self) -> None:
        numbers = b""
        while _END not in numbers:
            numbers = os.read(self._reader, 64)
            if signal.SIGTERM in numbers:
                self._stop()
        os.close(self._reader)

    def _stop(self) -> None:
        if not self._is_stopping.acquire(blocking=False):
            return
        self._before_end()
        # Not the log: the main thread may hold what it needs.
        with contextlib.suppress(OSError):
            os.write(2, _STOPPED)
        os._exit(self._exit_code)


def bear_strays() -> None:
    """Have signals that nobody handles do nothing but wake the loop; for the main thread.

    SIGPIPE is ignored, as Python has it: a client that left would end the process.
    """
    if signal.getsignal(signal.SIGPIPE) is signal.SIG_DFL:
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    left_alone = _handled()
    for number in ENDING:
        if not left_alone >> (number - 1) & 1:
            signal.signal(number, _note_stray)


def _handled() -> int:
    """Return the mask of signals that have handlers or are ignored (proc(5)).

    ``getsignal`` knows nothing of those that C code has taken, faulthandler for one.
    """
    mask = 0
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            for line in status:
                name, _, value = line.partition(":")
                if name in ("SigCgt", "SigIgn"):
                    mask |= int(value, 16)
    except OSError:  # no /proc, so nobody knows: each is left alone
        return -1
    return mask


def is_stray(number: int) -> bool:
    """Return whether nobody but ``bear_strays`` has a handler for a signal."""
    return signal.getsignal(number) is _note_stray


def _note_stray(_number: int, _frame: object) -> None:
    pass


def restore() -> None:
    """Give signals that the server handles their default actions; in a forked process."""
    signal.set_wakeup_fd(-1)
    for number in TAKEN:
        is_interrupt = number == signal.SIGINT
        signal.signal(number, signal.default_int_handler if is_interrupt else signal.SIG_DFL)
    for number in filter(is_stray, ENDING):
        signal.signal(number, signal.SIG_DFL)
