"""How a count went between two moments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bascule_ops.logs.moments import seconds
from bascule_ops.text.sparkline import sparkline

WIDTH: Final = 20


def over_time(counts: Mapping[str, int], begin: float, end: float) -> str:
    """`WIDTH` bars from `begin` to `end` (seconds since the epoch); a space is nothing at all.

    Args:
        counts: by time, as in 2026-11-21T10:00:0, which is ten seconds.
    """
    bins = [0] * WIDTH
    span = max(end - begin, 1.0)
    for time, count in counts.items():
        # The middle of the ten seconds.
        share = (seconds(f"{time}5.000Z") - begin) / span
        bins[min(WIDTH - 1, max(0, int(share * WIDTH)))] += count
    return sparkline([each or None for each in bins])
