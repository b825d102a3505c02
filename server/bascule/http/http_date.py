"""Dates as HTTP writes them."""

from __future__ import annotations

import time
from typing import Final

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


def imf_fixdate(seconds: float) -> str:
    """Return seconds since the epoch as an ``IMF-fixdate`` (RFC 9110 §5.6.7).

    Neither strftime, whose names of days and months follow the locale, nor email.utils, which
    keeps 3 MiB of parsers in memory.
    """
    when = time.gmtime(seconds)
    date = (
        f"{_DAYS[when.tm_wday]}, {when.tm_mday:02d} {_MONTHS[when.tm_mon - 1]} {when.tm_year:04d}"
    )
    return f"{date} {when.tm_hour:02d}:{when.tm_min:02d}:{when.tm_sec:02d} GMT"
