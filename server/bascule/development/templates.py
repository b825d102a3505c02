"""The project's templates, which frameworks may keep once they have read them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

# What frameworks call the directories: Django, Flask, Pyramid; Bottle; Django with Jinja.
NAMES: Final = frozenset({"templates", "views", "jinja2"})
# How often new directories are looked for (seconds), and which part of the time that may take.
INTERVAL: Final = 1.0
SHARE: Final = 0.02

_OTHERS: Final = frozenset({"node_modules", "__pycache__"})


class Templates:
    """The files in directories of templates, however deep these are in the project.

    Args:
        root: the project's directory; its virtual environments and what is hidden are passed over.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._directories: list[str] = []
        self._due = 0.0

    def paths(self) -> Iterator[str]:
        """Yield them as they are now."""
        began = time.monotonic()
        if began >= self._due:
            self._directories = list(self._found())
            ended = time.monotonic()
            self._due = ended + max(INTERVAL, (ended - began) / SHARE)
        for directory in self._directories:
            with suppress(OSError), os.scandir(directory) as entries:
                yield from [
                    entry.path
                    for entry in entries
                    if not entry.name.startswith(".") and entry.is_file()
                ]

    def _found(self) -> Iterator[str]:
        for directory, inner, files in os.walk(self._root):
            if "pyvenv.cfg" in files:
                inner.clear()
                continue
            inner[:] = [each for each in inner if each not in _OTHERS and not each.startswith(".")]
            if not NAMES.isdisjoint(os.path.relpath(directory, self._root).split(os.sep)):
                yield directory
