"""Reads a runbook: its headings, and the commands with what they should print.

A command stands in a fenced ``console`` block after ``$``; the lines up to the next command
are its expected output, in which ``...`` stands for anything. Other blocks are not run.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^( *)```console\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Step:
    """A command and the output that the page promises."""

    command: str
    expected: str

    @property
    def pattern(self) -> re.Pattern[str]:
        """The expected output as an expression for the whole output."""
        parts = map(re.escape, self.expected.strip().split("..."))
        return re.compile(".*?".join(parts), re.DOTALL)


def headings(page: Path) -> list[str]:
    """The second-level headings, in their order."""
    return re.findall(r"^## (.*)$", page.read_text(), re.MULTILINE)


def blocks(page: Path) -> list[list[Step]]:
    """The blocks of commands, in their order. A block's commands share one shell."""
    found = []
    for match in BLOCK.finditer(page.read_text()):
        text = textwrap.dedent(match[2])
        steps = [part.partition("\n") for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]]
        found.append([Step(command, expected) for command, _, expected in steps])
    return found
