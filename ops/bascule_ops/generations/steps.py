"""The steps of an operation, each told with what it took."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bascule_ops.control.output import say
from bascule_ops.errors import CommandError


class Steps:
    """Tells steps one to `count`."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._number = 0
        self.result = ""

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Tell a step: at its beginning to who watches, at its end to everybody.

        What the block leaves in `result` is told with it.
        """
        self._number += 1
        self.result = ""
        line = f"[{self._number}/{self._count}] {what}"
        is_watched = sys.stdout.isatty()
        if is_watched:
            _tell(line, end=" ...")
        began = time.monotonic()
        try:
            yield
        except BaseException:
            _tell("" if is_watched else f"{line}: not done")
            raise
        result = f" ({self.result})" if self.result else ""
        rewind = "\b" * 4 if is_watched else line
        _tell(f"{rewind}{result}: {time.monotonic() - began:.1f} s")


def _tell(text: str, end: str = "\n") -> None:
    with suppress(CommandError):  # a full disk must not leave an operation half done
        say(text, end)
