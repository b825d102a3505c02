"""A file of access rules that follows its changes.

Whoever edits it writes a new file beside it and renames that onto it; so no half-written list is
ever read. The file is looked at when it is needed, and at most once in `PAUSE`. A list that cannot
be read keeps the one before in force, and is logged once.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bascule_middleware.links.allowlist.access_rules import AccessRules, Rule, parse_rules

PAUSE = 0.5  # seconds; a change is in force within one second, for one stat(2) now and then

_log = logging.getLogger("bascule.allowlist")

Stamp = tuple[int, int, int] | None


class FixedRules:
    """Rules without a file."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = AccessRules(rules)

    def current(self) -> AccessRules:
        """Return the rules in force."""
        return self._rules


class RuleFile:
    """The rules of a file and those that stand beside it, as they are now."""

    def __init__(
        self, path: Path, beside: Sequence[Rule], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Read the file. Raises ValueError, fit to be shown, where that fails."""
        self._path = path
        self._beside = beside
        self._clock = clock
        self._lock = threading.Lock()
        self._stamp = _stamp(path)
        self._rules = self._read()
        self._look_at = clock() + PAUSE

    def current(self) -> AccessRules:
        """Return the rules in force, from the file as it was less than a second ago."""
        # One thread looks; the others go on with what there is.
        if self._clock() >= self._look_at and self._lock.acquire(blocking=False):
            try:
                self._look_at = self._clock() + PAUSE
                self._follow()
            finally:
                self._lock.release()
        return self._rules

    def _follow(self) -> None:
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._rules = self._read()
        except ValueError as error:
            message = "%s; the rules before it stay in force"
            _log.error(message, error, extra={"event": "rules_refused", "file": str(self._path)})
        else:
            message = "%s: new rules are in force"
            _log.info(message, self._path, extra={"event": "rules_read", "file": str(self._path)})

    def _read(self) -> AccessRules:
        try:
            text = self._path.read_text(encoding="utf-8")
        except OSError as error:
            raise ValueError(f"{self._path}: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise ValueError(f"{self._path}: not UTF-8, from byte {error.start} on") from None
        try:
            return AccessRules([*self._beside, *parse_rules(text)])
        except ValueError as error:
            raise ValueError(f"{self._path}:{error}") from None


def _stamp(path: Path) -> Stamp:
    """Return what changes with a file, rewritten or replaced; None where it is not there."""
    try:
        status = os.stat(path)  # noqa: PTH116 (a request waits for it: half the time of Path.stat)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
