"""Text for a terminal: columns, units, colours."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

# SGR codes (ECMA-48 §8.3.117).
CODES: Final = {"good": "32", "bad": "1;31", "strong": "1", "faint": "2"}
Style = Literal["good", "bad", "strong", "faint"]


@dataclass(frozen=True, slots=True)
class Paint:
    """Colours, or none."""

    colours: bool

    def __call__(self, style: Style, text: str) -> str:
        """`text` in a style."""
        return f"\x1b[{CODES[style]}m{text}\x1b[0m" if self.colours else text


def paint(when: str) -> Paint:
    """Colours ``always``, ``never``, or where a terminal shows them and NO_COLOR is unset.

    https://no-color.org/
    """
    if when == "auto":
        return Paint(sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
    return Paint(when == "always")


def printable(text: str) -> str:
    """`text` with what could move a cursor or change a colour written as an escape.

    Paths and names come from clients.
    """
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Lines with aligned columns; the columns numbered in `right` end together."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


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
