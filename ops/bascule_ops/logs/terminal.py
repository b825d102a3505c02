"""What a terminal is given: colours of ours, and nothing that the log could play tricks with."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Final, TextIO

# Control characters (C0, DEL, C1), line and paragraph separators, and what turns the direction of
# writing: any of them in a line could show something else than what was logged.
_UNSAFE: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_SHORT: Final = {"\n": r"\n", "\t": r"\t"}
_CODES: Final = {"red": "31", "yellow": "33", "green": "32", "cyan": "36", "dim": "2", "bold": "1"}

Paint = Callable[[str, str], str]


def visible(text: object) -> str:
    """`text` with every unsafe character written out, as Python would."""
    return _UNSAFE.sub(_escaped, str(text))


def visible_json(text: str) -> str:
    """A line of JSON, which may hold such characters in its strings only, as equal JSON."""
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return _SHORT.get(match[0]) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def painter(stream: TextIO) -> Paint:
    """A function ``(colour, text) -> text``: it colours on a terminal, unless NO_COLOR is set."""
    if not stream.isatty() or os.environ.get("NO_COLOR"):
        return lambda _colour, text: text
    return lambda colour, text: f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if colour else text
