"""Bounded memos of what has been parsed and validated before.

A memo is part of the parser's security: it is keyed by the exact bytes or strings, filled only
after validation, and bounded in entries and in the size of each. What never repeats (a request's
id) must not push out what does: after some misses a name has no more of its values remembered.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, TypeVar

# Enough for the fields and paths of many kinds of client; half a MiB at the most.
ENTRIES: Final = 1024
# Longer lines (cookies, mostly) rarely repeat across clients.
LONGEST: Final = 512
# Values of one name after which it counts as one whose values do not repeat.
PATIENCE: Final = 64

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Memo(dict[Key, Value]):
    """A dictionary that forgets everything rather than grow without bound.

    Subclasses define ``__missing__``: it parses, calls ``remember``, and returns.
    """

    def __init__(self) -> None:
        super().__init__()
        # By the names' hashes: names may be as long as lines, and there may be many of them. Two
        # with one hash share their patience, and nothing else.
        self._misses: dict[int, int] = {}

    def remember(self, name: Hashable, key: Key, value: Value, size: int) -> bool:
        """Keep a value, unless it is large; return False once its name's values do not repeat.

        Args:
            name: what the patience is counted for.
            key: what the value was parsed from.
            value: what it was parsed to.
            size: bytes or characters of the key.
        """
        counted = hash(name)
        misses = self._misses.get(counted, 0)
        if misses >= PATIENCE:
            return False
        if len(self) >= ENTRIES or len(self._misses) >= ENTRIES:
            self.clear()
            self._misses.clear()
        self._misses[counted] = misses + 1
        if size <= LONGEST:
            self[key] = value
        return True
