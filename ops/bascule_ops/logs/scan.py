"""The records of a log that are asked for."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Final

from bascule_ops.logs import moments
from bascule_ops.logs.files import DISORDER
from bascule_ops.logs.record import Record, parsed, time_of
from bascule_ops.logs.selection import Selection
from bascule_ops.logs.source import Source

_LOOK: Final = 256  # lines between two looks at whether the rest is too late


def wanted(source: Source, selection: Selection) -> Iterator[tuple[bytes, Record]]:
    """Each line that the selection has, with its record, in the log's order."""
    return chosen(lines(source, selection), selection)


def lines(source: Source, selection: Selection) -> Iterator[bytes]:
    """The lines among which are all of the times that the selection names."""
    found = source.lines(selection.since, None)
    if source.is_ordered and selection.until:
        return _until(found, moments.shifted(selection.until, DISORDER))
    return found


def chosen(log: Iterator[bytes], selection: Selection) -> Iterator[tuple[bytes, Record]]:
    """The same of any lines."""
    searches = [needle.search for needle in selection.needles()]
    before = b""
    for raw in log:
        if raw.startswith(b"{"):
            before = raw
            if any(not search(raw) for search in searches):
                continue
        elif not raw:
            continue
        record = parsed(raw, time_of(before))
        if selection.has(record):
            yield raw, record


def in_order(found: Iterator[tuple[bytes, Record]], last: int | None) -> list[tuple[bytes, Record]]:
    """What was found by time; only the last so many, unless that is None."""
    numbered = ((record["time"], number, raw, record) for number, (raw, record) in enumerate(found))
    ordered = sorted(numbered) if last is None else sorted(heapq.nlargest(last, numbered))
    return [(raw, record) for _, _, raw, record in ordered]


def _until(log: Iterator[bytes], end: str) -> Iterator[bytes]:
    for number, raw in enumerate(log):
        if number % _LOOK == 0 and time_of(raw) > end:
            return
        yield raw
