"""Medians with their spread, and ratios between what was measured in the same round."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some rounds, and the least and the greatest of them."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Return the spread of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def paired_ratio(ours: Sequence[float | None], theirs: Sequence[float | None]) -> float:
    """Return the median of the rounds' ratios; None stands for a round that failed.

    What disturbs a machine for a while disturbs neighbours in one round alike, so that the
    ratio within a round is steadier than that of two medians.

    Raises:
        statistics.StatisticsError: there is no round that both have.
    """
    return statistics.median(
        one / other
        for one, other in zip(ours, theirs, strict=True)
        if one is not None and other is not None
    )
