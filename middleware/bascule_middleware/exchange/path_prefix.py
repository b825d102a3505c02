"""What is set for a path: the value of the longest prefix, in whole segments."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from bascule_middleware.settings import SettingError

T = TypeVar("T")


def prefix_key(prefix: str) -> str:
    """Return a prefix in the form of PATH_INFO, "" for all paths. ValueError if it is none.

    PATH_INFO holds bytes as latin-1 characters (PEP 3333, "Unicode Issues"); people write UTF-8.
    """
    if not prefix.startswith("/"):
        raise ValueError(f'"{prefix}" does not begin with "/"')
    return prefix.rstrip("/").encode().decode("latin-1")


class LongestPrefix(Generic[T]):
    """Values by path prefix. "/shop" has /shop and /shop/x, not /shopping; "/" has all."""

    def __init__(self, values: Mapping[str, T], setting: str) -> None:
        """`values` by prefix, as written in `setting`, which SettingError names if one is wrong."""
        self._values: dict[str, T] = {}
        for prefix, value in values.items():
            try:
                key = prefix_key(prefix)
            except ValueError as error:
                raise SettingError(setting, str(error), prefix) from None
            if key in self._values:
                raise SettingError(setting, f'"{prefix}" is there twice', prefix)
            self._values[key] = value
        self._match = prefix_matcher(self._values)

    def find(self, path: str) -> T | None:
        """Return the value for a path in the form of PATH_INFO; None where no prefix has it."""
        match = self._match(path)
        # "/" has the asterisk of OPTIONS as well, in which no segment ends (RFC 9112 §3.2.4).
        return self._values.get(match[0] if match else "")


def prefix_matcher(prefixes: Iterable[str]) -> Callable[[str], re.Match[str] | None]:
    """Return what matches the longest prefix of a path that ends where one of its segments does.

    `prefixes` are in the form of PATH_INFO, without a slash at their end. One regular expression,
    so that a path of a thousand slashes costs no more than a short one.
    """
    longest_first = sorted(prefixes, key=len, reverse=True)
    choices = "|".join(map(re.escape, longest_first)) if longest_first else "(?!)"
    return re.compile(rf"(?:{choices})(?=/|\Z)").match
