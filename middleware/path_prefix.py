"""What is set for a path: the value of the longest prefix, in whole segments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from middleware.settings import SettingError

T = TypeVar("T")


class LongestPrefix(Generic[T]):
    """Values by path prefix. "/shop" has /shop and /shop/x, not /shopping; "/" has all."""

    def __init__(self, values: Mapping[str, T], setting: str) -> None:
        """`values` by prefix, as written in `setting`, which SettingError names if one is wrong."""
        self._values: dict[str, T] = {}
        for prefix, value in values.items():
            if not prefix.startswith("/"):
                raise SettingError(setting, f'"{prefix}" does not begin with "/"', prefix)
            # PATH_INFO holds bytes as latin-1 characters (PEP 3333, "Unicode Issues").
            key = prefix.rstrip("/").encode().decode("latin-1")
            if key in self._values:
                raise SettingError(setting, f'"{prefix}" is there twice', prefix)
            self._values[key] = value

    def find(self, path: str) -> T | None:
        """Return the value for a path in the form of PATH_INFO; None where no prefix has it."""
        if not self._values:
            return None
        while path not in self._values:
            if not path:
                return None
            path = path.rpartition("/")[0]
        return self._values[path]
