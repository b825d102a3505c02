"""Which records are asked for."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import Final

from bascule_ops.logs.record import Record

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
_STATUS: Final = re.compile(r"[0-9]{3}|[1-9]xx")


def statuses(text: str) -> tuple[str, ...]:
    """The statuses of ``5xx`` or ``404,500``, each as its first digits.

    Raises:
        ValueError: it names none.
    """
    parts = text.lower().split(",")
    if not all(map(_STATUS.fullmatch, parts)):
        raise ValueError(f'"{text}" names no status: write 5xx, 404, or 500,502')
    return tuple(part.removesuffix("xx") for part in parts)


def path_of(record: Record) -> str:
    """The path that a record is about, without its query; empty where it is about none."""
    target = record.get("target") or record.get("path") or ""
    if not target and record.get("request"):  # nginx's error log: METHOD TARGET PROTOCOL
        target = str(record["request"]).partition(" ")[2].rpartition(" ")[0]
    return str(target).partition("?")[0]


@dataclass(frozen=True, slots=True)
class Selection:
    """What a record must be; what is empty does not matter.

    Attributes:
        since, until: times in the log's form.
        statuses: first digits of a status; one will do.
        slower_ms: a request that took at least as long; 0: any.
        path: a prefix of the path, or a pattern with ``*`` and ``?``.
        events: names of events; one will do.
        level: this one or a graver one.
        worker: who wrote the line.
    """

    since: str = ""
    until: str = ""
    statuses: tuple[str, ...] = ()
    slower_ms: float = 0.0
    path: str = ""
    events: tuple[str, ...] = ()
    level: str = ""
    worker: str = ""

    @property
    def is_everything(self) -> bool:
        """Whether no record is left out."""
        return self == Selection()

    def has(self, record: Record) -> bool:
        """Whether the record is asked for."""
        time = record["time"]
        return (
            (not self.since or time >= self.since)
            and (not self.until or time < self.until)
            and (not self.statuses or str(record.get("status", "")).startswith(self.statuses))
            and (not self.slower_ms or self._is_slow(record))
            and (not self.path or self._has_path(path_of(record)))
            and (not self.events or record["event"] in self.events)
            and (not self.level or self._is_grave(str(record.get("level", ""))))
            and (not self.worker or record.get("worker") == self.worker)
        )

    def needles(self) -> list[re.Pattern[bytes]]:
        """Expressions that every JSON line which is asked for matches; others need no parsing."""
        needles = []
        if self.statuses:
            needles.append("|".join(f'"status": ?{status}' for status in self.statuses))
        if self.slower_ms >= 1:
            digits = len(str(int(self.slower_ms)))
            needles.append(rf'"(?:duration_ms": ?\d{{{digits}}}|age_s")')
        if self.events:
            needles.append(f'"event": ?"(?:{"|".join(map(re.escape, self.events))})"')
        if self.worker:
            needles.append(f'"worker": ?"{re.escape(self.worker)}"')
        if self.level in LEVELS[1:]:
            needles.append(f'"level": ?"(?:{"|".join(LEVELS[LEVELS.index(self.level) :])})"')
        return [re.compile(needle.encode()) for needle in needles]

    def _is_slow(self, record: Record) -> bool:
        duration = record.get("duration_ms")
        if duration is None:
            age = record.get("age_s")
            duration = age * 1000 if isinstance(age, int | float) else None
        return isinstance(duration, int | float) and duration >= self.slower_ms

    def _has_path(self, path: str) -> bool:
        if any(sign in self.path for sign in "*?["):
            return fnmatch.fnmatchcase(path, self.path)
        return path.startswith(self.path)

    def _is_grave(self, level: str) -> bool:
        return level in LEVELS and LEVELS.index(level) >= LEVELS.index(self.level)
