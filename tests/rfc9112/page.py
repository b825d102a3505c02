r"""Reads the tables of docs/http.md, so that the page is tested and not merely written.

A table's frame stands above it on a line of its own, ``Frame: `…` ``; each input takes the place
of the ``…``. In an input ``\r``, ``\n``, ``\t``, ``\\`` and ``\xNN`` mean what they mean in
Python, and ``{x*N}`` stands for N times ``x``.

An answer begins with a status, or with ``waits``, or with ``accepted``; then each
``name `value` `` in it is an attribute of what was accepted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "http.md"

_FRAME = re.compile(r"Frame: `(.*)`")
_ROW = re.compile(r"\| `(?P<input>[^`]*)` \| (?P<answer>[^|]*) \| (?P<section>[^|]*) \|")
_ESCAPE = re.compile(r"\\(?:(r|n|t|\\)|x([0-9a-f]{2}))|\{([^{}]+)\*([0-9]+)\}")
_ATTRIBUTE = re.compile(r"([A-Za-z_]+) `([^`]*)`")
_NAMED = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\"}


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        line: its number on the page.
        message: the bytes that a client sends.
        answer: in the page's words.
        section: of the RFC that decides.
    """

    line: int
    message: bytes
    answer: str
    section: str

    @property
    def status(self) -> int | None:
        first = self.answer.split()[0].rstrip(":")
        return int(first) if first.isdigit() else None

    @property
    def waits(self) -> bool:
        return self.answer.startswith("waits")

    @property
    def attributes(self) -> dict[str, str]:
        """What the answer says of an accepted message, escapes resolved, as latin-1."""
        found = _ATTRIBUTE.findall(self.answer)
        return {name: unescape(value).decode("latin-1") for name, value in found}


def unescape(text: str) -> bytes:
    """Return the bytes that a cell of the page stands for."""
    parts: list[bytes] = []
    position = 0
    for match in _ESCAPE.finditer(text):
        parts.append(text[position : match.start()].encode("latin-1"))
        name, code, repeated, count = match.groups()
        if name:
            parts.append(_NAMED[name])
        elif code:
            parts.append(bytes([int(code, 16)]))
        else:
            parts.append(unescape(repeated) * int(count))
        position = match.end()
    parts.append(text[position:].encode("latin-1"))
    return b"".join(parts)


def rows() -> Iterator[Row]:
    """Yield every row of every table that has inputs."""
    frame = "…"
    for number, line in enumerate(PAGE.read_text("utf-8").splitlines(), start=1):
        if line.startswith("#"):
            frame = "…"
        elif match := _FRAME.fullmatch(line):
            frame = match[1]
        elif match := _ROW.fullmatch(line):
            yield Row(
                line=number,
                message=unescape(frame.replace("…", match["input"])),
                answer=match["answer"].strip(),
                section=match["section"].strip(),
            )
        else:
            assert not line.startswith("| `"), f"line {number} of the page is no row: {line}"
