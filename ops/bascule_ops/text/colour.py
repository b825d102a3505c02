"""Colours for a terminal, or none."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Final

# SGR codes (ECMA-48 §8.3.117).
CODES: Final = {
    "good": "32",
    "bad": "1;31",
    "strong": "1",
    "faint": "2",
    "red": "31",
    "yellow": "33",
    "green": "32",
}


@dataclass(frozen=True, slots=True)
class Paint:
    """Colours text where `colours` is true."""

    colours: bool

    def __call__(self, style: str, text: str) -> str:
        """`text` in one of the styles of `CODES`; an empty one changes nothing."""
        return f"\x1b[{CODES[style]}m{text}\x1b[0m" if self.colours and style else text


def paint(when: str = "auto") -> Paint:
    """Colours ``always``, ``never``, or where a terminal shows them and NO_COLOR is unset.

    https://no-color.org/
    """
    if when == "auto":
        return Paint(sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
    return Paint(when == "always")
