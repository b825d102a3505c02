"""A line of bars that shows how a figure went over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

_BARS: Final = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float | None]) -> str:
    """A bar for each value, the highest full; `None` is a gap."""
    highest = max((value for value in values if value is not None), default=0.0)
    return "".join(" " if value is None else _bar(value, highest) for value in values)


def _bar(value: float, highest: float) -> str:
    share = value / highest if highest else 0.0
    return _BARS[max(0, math.ceil(share * len(_BARS)) - 1)]
