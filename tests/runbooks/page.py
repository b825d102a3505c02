"""Reads a page: its headings, and the commands with what they should print.

A command stands in a fenced ``console`` block after ``$``; the lines up to the next command
are its expected output, in which ``...`` stands for anything. Other blocks are not run. Words
after ``console`` say when a block is run: ``fault`` is for rehearsals only, where it brings about
what a runbook is for, or stands for what its reader does by other means; ``local`` and ``docker`` are for one of the two ways to run.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^( *)```console((?: \w+)*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^## (.*)$", re.MULTILINE)
MODES = frozenset({"local", "docker"})
WORDS = MODES | {"fault"}


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


@dataclass(frozen=True, slots=True)
class Block:
    """A block's commands, which share one shell; `heading` is the one that it stands under."""

    heading: str
    words: frozenset[str]
    steps: list[Step]

    @property
    def is_fault(self) -> bool:
        """Whether it is for rehearsals only."""
        return "fault" in self.words

    def is_for(self, mode: str) -> bool:
        """Whether it is run in a stack of that mode."""
        return mode in self.words or not self.words & MODES


def headings(page: Path) -> list[str]:
    """The second-level headings, in their order."""
    return HEADING.findall(page.read_text())


def read(page: Path) -> list[Block]:
    """The blocks of a page, in their order. Raises ValueError for a word that is not known."""
    text = page.read_text()
    found = []
    for match in BLOCK.finditer(text):
        words = frozenset(match[2].split())
        if not words <= WORDS:
            raise ValueError(
                f"{page.name}: console{match[2]}: known are {', '.join(sorted(WORDS))}"
            )
        above = HEADING.findall(text, 0, match.start())
        parts = re.split(r"^\$ ", textwrap.dedent(match[3]), flags=re.MULTILINE)[1:]
        steps = [Step(c, e) for c, _, e in (part.partition("\n") for part in parts)]
        found.append(Block(above[-1] if above else "", words, steps))
    return found


def blocks(page: Path) -> list[list[Step]]:
    """The commands of the blocks that a reader sees, in their order."""
    return [block.steps for block in read(page) if not block.is_fault]
