"""Durations, sizes and shares as people read them."""

from __future__ import annotations

from typing import Final

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


def duration(seconds: float) -> str:
    """``0.3 s``, ``42 s``, ``5m 3s``, ``3h 2m``, ``12d 4h``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    for unit, name, smaller, small_name in (
        (DAY, "d", HOUR, "h"),
        (HOUR, "h", MINUTE, "m"),
        (MINUTE, "m", 1, "s"),
    ):
        if whole >= unit:
            return f"{whole // unit}{name} {whole % unit // smaller}{small_name}"
    return f"{whole} s"


def size(number: float) -> str:
    """Bytes as ``512 B``, ``31.2 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.{0 if unit == 'B' else 1}f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


def share(part: float, whole: float) -> str:
    """A part as per cent of the whole; ``-`` of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else "-"
