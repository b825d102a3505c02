"""Every command while each fault lasts: seconds, exit status, and whether it speaks in words."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from tests.faults.cases import COMMANDS, PAGES, Fault
from tests.faults.stack import BrokenStack

QUICK: Final = 5.0  # seconds for an answer
GIVEN_UP: Final = 30.0  # seconds after which one is not waited for any longer
BROKEN: Final = re.compile(r"Traceback|Exception ignored|Fatal Python error|Exception in thread")
PAGE_STATUS: Final = 200
NOBODY: Final = 0  # of a page: nothing can answer, and the client gives up


@dataclass(frozen=True)
class Row:
    """What a command did while a fault lasted."""

    fault: str
    command: str
    seconds: float
    status: int
    wanted: int | None
    output: str
    missing: str = ""

    @property
    def faults(self) -> list[str]:
        """What is wrong with it."""
        found = []
        if self.seconds > QUICK and self.wanted != NOBODY:
            found.append(f"{self.seconds:.1f} s")
        if self.wanted is not None and self.status != self.wanted:
            found.append(f"status {self.status}, not {self.wanted}")
        if BROKEN.search(self.output):
            found.append("a traceback")
        if not self.output.strip():
            found.append("no word")
        if self.missing:
            found.append(f"does not say {self.missing}")
        return found


def ask(stack: BrokenStack, fault: Fault, command: str) -> Row:
    """Run a command, or get a page."""
    began = time.monotonic()
    if page := PAGES.get(command):
        status, output = stack.ask(page, stack.status_port)
        wanted = fault.statuses.get(command, PAGE_STATUS)
    else:
        status, output = _run(stack, fault, COMMANDS[command])
        wanted = fault.statuses.get(command, 0)
    seconds = time.monotonic() - began
    says = fault.shows.get(command, fault.says if command == "status" else "")
    missing = says if says and not re.search(says, output) else ""
    return Row(fault.name, command, seconds, status, wanted, output, missing)


def _run(stack: BrokenStack, fault: Fault, command: tuple[str, ...]) -> tuple[int, str]:
    try:
        done = subprocess.run(
            [*fault.prefix, *command],
            cwd=stack.root,
            env={**stack.environ, **fault.settings},
            capture_output=True,
            text=True,
            check=False,
            timeout=GIVEN_UP,
        )
    except subprocess.TimeoutExpired as expired:
        return -1, str(expired)
    return done.returncode, done.stdout + done.stderr


def rows(stack: BrokenStack, fault: Fault, commands: Collection[str]) -> Iterator[Row]:
    """Break the stack, ask everything, mend it, and see it well again."""
    with fault.inject(stack):
        for command in commands:
            yield ask(stack, fault, command)
    stack.wait_until_well()
