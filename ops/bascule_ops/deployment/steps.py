"""The steps of an operation, each told with what it took."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


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
            print(line, end=" ...", flush=True)
        began = time.monotonic()
        try:
            yield
        except BaseException:
            print("" if is_watched else f"{line}: not done", flush=True)
            raise
        result = f" ({self.result})" if self.result else ""
        rewind = "\b" * 4 if is_watched else line
        print(f"{rewind}{result}: {time.monotonic() - began:.1f} s", flush=True)
