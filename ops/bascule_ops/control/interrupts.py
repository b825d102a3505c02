"""Signals that ask a command to end, for one that has to clear up first."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

# The exit status of each: a shell's for the signal.
STATUSES: Final = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}


class Interrupted(BaseException):
    """One of the signals came.

    Attributes:
        status: the exit status.
    """

    def __init__(self, status: int) -> None:
        self.status = status


class Interrupts:
    """Raises `Interrupted` when one of the signals comes, but never within `held`."""

    def __init__(self) -> None:
        self._is_held = False
        self._status = 0
        for number in STATUSES:
            # As in a shell: what is ignored from outside (nohup) stays ignored.
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._note)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._status = STATUSES[signal.Signals(number)]
        if not self._is_held:
            raise Interrupted(self._status)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the block be done whole; a signal that came meanwhile ends it at its end."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        if self._status:
            raise Interrupted(self._status)

    @staticmethod
    def ignore() -> None:
        """Let none of them disturb what is cleared up from here on."""
        for number in STATUSES:
            signal.signal(number, signal.SIG_IGN)

    @staticmethod
    def restore() -> None:
        """Let each of them end the process again."""
        for number in STATUSES:
            signal.signal(number, signal.SIG_DFL)
