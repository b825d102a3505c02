"""A case: what is done to a stack under load, and what may fail of it (nothing, as a rule)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ops.load.account import Account, Failure
from ops.load.background import BackgroundLoad
from tests.ops.harness import Tree

BEFORE = (
    300  # right answers before the operation begins: by then requests of every kind are in flight
)
APPLICATION = "ops.load.application:application"


@dataclass(frozen=True, slots=True)
class Kill:
    """A worker's end: the name of its socket, and from when to when it went (monotonic clock)."""

    name: str
    began: float
    ended: float


@dataclass(slots=True)
class Moments:
    """What was done when: the workers that were killed."""

    killed: list[Kill] = field(default_factory=list)


Operation = Callable[[Tree, Moments], None]


def nothing(failure: Failure, tree: Tree, moments: Moments) -> bool:
    """Allow no failure."""
    return False


@dataclass(frozen=True, slots=True)
class Case:
    """An operation, the settings of the stack that it is done to, and what may fail."""

    name: str
    operation: Operation
    settings: Mapping[str, str] = field(default_factory=dict)
    may_fail: Callable[[Failure, Tree, Moments], bool] = nothing


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


def run(case: Case, tree: Tree, requests: int, rate: float) -> Outcome:
    """Start the stack, do the operation under load, and go on until `requests` were answered."""
    tree.environ |= {"BASCULE_APP": APPLICATION, **case.settings}
    done = tree.up()
    assert done.returncode == 0, done.stdout + done.stderr
    moments = Moments()
    began = time.monotonic()
    with BackgroundLoad(tree.port, rate=rate) as load:
        load.wait_for(BEFORE)
        case.operation(tree, moments)
        load.wait_for(requests)
    account = load.account
    assert account.is_complete, account.lines()
    excused = [each for each in account.failures if case.may_fail(each, tree, moments)]
    unexcused = [each for each in account.failures if each not in excused]
    return Outcome(account, excused, unexcused, time.monotonic() - began)
