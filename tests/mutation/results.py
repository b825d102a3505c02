"""``results.md``: the table of what was found of each module."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_name("results.md")
HEAD: Final = """\
# What the tests notice

`tests/mutation/run` changes the server's code in one place after another, and runs the tests that run
that place. `tests/mutation/run --write` writes this. A change that no test notices, and that makes no
difference that one should, is in [verdicts.toml](verdicts.toml) with the reason.

| module | changes | a test notices | a verdict says why not | neither |
|---|---|---|---|---|
"""
ROW: Final = re.compile(r"\| `([^`]+)` \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|")


@dataclass(frozen=True)
class Row:
    """What was found of a module, as numbers of changes."""

    module: str
    killed: int
    known: int
    new: int

    @property
    def changes(self) -> int:
        """How many there were."""
        return self.killed + self.known + self.new


def written(text: str, rows: Iterable[Row]) -> str:
    """Return the page with some rows in place of those of the same modules."""
    table = {found[1]: _row(*found.groups()) for found in ROW.finditer(text)}
    table |= {row.module: row for row in rows}
    lines = [
        f"| `{row.module}` | {row.changes} | {row.killed} | {row.known} | {row.new} |"
        for _, row in sorted(table.items())
    ]
    return HEAD + "\n".join([*lines, _total(table.values()), ""])


def _row(module: str, _changes: str, killed: str, known: str, new: str) -> Row:
    return Row(module, int(killed), int(known), int(new))


def _total(rows: Iterable[Row]) -> str:
    found = list(rows)
    killed, known, new = (
        sum(each) for each in zip(*((row.killed, row.known, row.new) for row in found), strict=True)
    )
    return f"| **all** | {killed + known + new} | {killed} | {known} | {new} |"
