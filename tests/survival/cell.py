"""One cell of the matrix: a fault, done to a stack of so many workers under a load."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from tests.harness.waiting import NotInTimeError, wait_until
from tests.load.account import Failure
from tests.load.background import BackgroundLoad
from tests.load.kinds import Kind, Reuse
from tests.survival.faults import Fault
from tests.survival.stacks import Breakable
from tests.survival.witness import Witness

APPLICATION: Final = "tests.load.faulty:application"
# What may be sent again: nothing of it may be lost while somebody could serve it.
KINDS: Final = (
    Kind("get", "GET", Reuse.KEEP, 3, is_ordinary=True),
    Kind("get-new", "GET", Reuse.CLOSE, 3, is_ordinary=True),
)
RATE: Final = 60.0  # requests a second
BEFORE: Final = 60  # right answers before the fault, and after it
LASTS: Final = 300  # requests, right or lost, for which a fault lasts that does not heal
TRUTH: Final = 5.0  # seconds within which the status has to tell
GIVEN_UP: Final = 60.0  # seconds after which nothing more is expected of the status
WELL: Final = 120.0  # seconds until the stack must be well after the remedy
# What a remedy says to do, as far as it is a command that ends.
COMMAND: Final = re.compile(
    r"ops/(?!runbooks)(?:[a-z]+)(?: (?:--[a-z-]+|reload|worker))*|kill -CONT \d+|docker compose [^;,]+"
)
MEND_FIRST: Final = "mend that, then"
FOLLOWS: Final = "--follow"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a cell.

    Attributes:
        sent: requests.
        lost: those that were not answered right.
        missed: those of them that nginx and a worker could have served.
        told: seconds until the status told the truth; None where it did not.
        done: the commands of the remedy.
        well: seconds until all was well, from the mending's end; None where it was not.
        is_same: whether the same code serves as before.
        notes: what else went wrong.
    """

    sent: int
    lost: list[Failure]
    missed: list[Failure]
    told: float | None
    done: list[str]
    well: float | None
    is_same: bool
    notes: list[str]

    @property
    def faults(self) -> list[str]:
        """What must not be."""
        found = list(self.notes)
        if self.missed:
            found.append(f"{len(self.missed)} lost that could have been served")
        if self.told is None:
            found.append("the status did not tell")
        if self.well is None:
            found.append("it was not well again")
        if not self.is_same:
            found.append("something else serves")
        return found


def run(fault: Fault, stack: Breakable, workers: int) -> Outcome:
    """Start the stack, break it under load, do what its status says, and see it well again."""
    stack.environ |= {"BASCULE_APP": APPLICATION, "WORKERS": str(workers), **fault.settings}
    up = stack.up()
    assert up.returncode == 0, up.stdout + up.stderr
    image = stack.image()
    notes: list[str] = []
    done: list[str] = []
    with (
        Witness(stack.port, stack.sockets, workers) as witness,
        BackgroundLoad(stack.port, rate=RATE, kinds=KINDS) as load,
    ):
        load.wait_for(BEFORE)
        began = time.monotonic()
        with fault.inject(stack):
            told, check = _truth(fault, stack, began)
            remedy = check["remedy"] if fault.remedy and check else ""
            if not re.search(fault.remedy, remedy):
                notes.append(f"another remedy is printed: {remedy}")
            if not fault.heals:
                load.wait_for(load.account.right.total() + LASTS)
            if remedy and MEND_FIRST not in remedy:
                done = _do(stack, remedy, notes)
        if remedy and MEND_FIRST in remedy:
            done = _do(stack, remedy, notes)
        mended = time.monotonic()
        well = _wait_until_well(stack, mended)
        if well is not None:
            load.wait_for(load.account.right.total() + BEFORE)
        else:
            notes.append(str(_failed(stack.status())))
    account = load.account
    missed = [each for each in account.failures if witness.could_serve(each.began, each.ended)]
    is_same = stack.image() == image
    return Outcome(account.sent.total(), account.failures, missed, told, done, well, is_same, notes)


def _failed(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in document["checks"] if not each["ok"] or each["note"]]


def _truth(
    fault: Fault, stack: Breakable, began: float
) -> tuple[float | None, dict[str, Any] | None]:
    """How long it took until the status told of the fault, or was right to say that all is well."""

    def look() -> tuple[float, dict[str, Any] | None] | None:
        document = stack.status()
        found = [each for each in _failed(document) if re.search(fault.says, each["message"])]
        if found or (fault.heals and not fault.remedy and document["healthy"]):
            return max(0.0, time.monotonic() - began - fault.after), next(iter(found), None)
        return None

    with suppress(NotInTimeError):
        if told := wait_until(look, "the status to tell", limit=GIVEN_UP):
            return told
    return None, None


def _do(stack: Breakable, remedy: str, notes: list[str]) -> list[str]:
    """Do what a remedy says, as it is printed; return the commands."""
    commands = [each.strip() for each in COMMAND.findall(remedy) if FOLLOWS not in each]
    for each in commands:
        ended = stack.run("sh", "-c", each)
        if ended.returncode:
            notes.append(f"{each}: status {ended.returncode}: {ended.stdout}{ended.stderr}")
    return commands


def _wait_until_well(stack: Breakable, since: float) -> float | None:
    try:
        wait_until(lambda: stack.status()["healthy"], "the stack is well", limit=WELL, interval=0.2)
    except NotInTimeError:
        return None
    return time.monotonic() - since
