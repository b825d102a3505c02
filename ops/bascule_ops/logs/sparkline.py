"""A line of blocks that shows how a count went over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bascule_ops.logs.moments import seconds

WIDTH: Final = 20
_BLOCKS: Final = "▁▂▃▄▅▆▇█"


def sparkline(counts: Mapping[str, int], begin: float, end: float) -> str:
    """`WIDTH` blocks from `begin` to `end` (seconds since the epoch); a space is nothing at all.

    Args:
        counts: by time, as in 2026-11-21T10:00:0, which is ten seconds.
    """
    bins = [0] * WIDTH
    span = max(end - begin, 1.0)
    for time, count in counts.items():
        # The middle of the ten seconds.
        share = (seconds(f"{time}5.000Z") - begin) / span
        bins[min(WIDTH - 1, max(0, int(share * WIDTH)))] += count
    most = max(bins)
    return "".join(_BLOCKS[(each * len(_BLOCKS) - 1) // most] if each else " " for each in bins)
