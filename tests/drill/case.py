"""A case: what is done to a stack under load, and what may fail of it (nothing, as a rule)."""

from __future__ import annotations

import enum
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.drill.stack import Stack
from tests.load.account import Account, Failure
from tests.load.background import BackgroundLoad

BEFORE = (
    300  # right answers before the operation begins: by then requests of every kind are in flight
)
APPLICATION = "tests.load.application:application"


@dataclass(frozen=True, slots=True)
class Kill:
    """A worker's end: the name of its socket, and from when to when it went (monotonic clock)."""

    name: str
    began: float
    ended: float


@dataclass(slots=True)
class Record:
    """What was done when (monotonic clock), and what the log says of each token afterwards."""

    killed: list[Kill] = field(default_factory=list)
    stop_began: float = float("inf")
    lines: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def read(self, log: list[dict[str, Any]]) -> None:
        """Take the lines of the log that are about a request of the load."""
        for line in log:
            if found := re.search(r"[?&]token=([^&]*)", line.get("target", "")):
                self.lines.setdefault(found[1], []).append(line)


Operation = Callable[[Stack, Record], None]


def nothing(failure: Failure, record: Record) -> bool:
    """Allow no failure."""
    return False


class Then(enum.Enum):
    """What there is after the operation."""

    GOES_ON = "the load goes on"
    IS_STOPPED = "nothing serves any more"


@dataclass(frozen=True, slots=True)
class Case:
    """An operation, the settings of the stack that it is done to, and what may fail."""

    name: str
    operation: Operation
    settings: Mapping[str, str] = field(default_factory=dict)
    may_fail: Callable[[Failure, Record], bool] = nothing
    then: Then = Then.GOES_ON


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case."""

    account: Account
    excused: list[Failure]
    unexcused: list[Failure]
    seconds: float

    def explain(self) -> str:
        """Return the account, and the failures that must not be."""
        lines = self.account.lines()
        lines += [f"must not fail: {each}" for each in self.unexcused[:20]]
        return "\n".join(lines)


def run(case: Case, stack: Stack, requests: int, rate: float) -> Outcome:
    """Start the stack, do the operation under load, and go on until `requests` were answered.

    An operation that stops the stack comes after them.
    """
    stack.environ |= {"BASCULE_APP": APPLICATION, **case.settings}
    done = stack.up()
    assert done.returncode == 0, done.stdout + done.stderr
    record = Record()
    began = time.monotonic()
    with BackgroundLoad(stack.port, rate=rate) as load:
        load.wait_for(BEFORE if case.then is Then.GOES_ON else requests)
        case.operation(stack, record)
        if case.then is Then.GOES_ON:
            load.wait_for(requests)
    account = load.account
    assert account.is_complete, account.lines()
    if account.failures:
        record.read(stack.log())
    excused = [each for each in account.failures if case.may_fail(each, record)]
    unexcused = [each for each in account.failures if each not in excused]
    return Outcome(account, excused, unexcused, time.monotonic() - began)
