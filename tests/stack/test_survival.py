"""Some cells of the matrix of faults (tests/survival/run has all of it) with containers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.drill.containers import maker
from tests.survival.cell import run
from tests.survival.faults import ALL, REMEDIES, Fault
from tests.survival.stacks import Containers

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

# By name, each with the number of workers.
IN_CI = {"supervisord is killed": 1, "memory runs out": 2, "the server's container is removed": 2}


@pytest.fixture(scope="module")
def make(engine: None) -> Iterator[Callable[[], Containers]]:
    """What makes stacks."""
    with maker(Containers) as made:
        yield made


@pytest.mark.parametrize(
    "fault", [each for each in (*ALL, *REMEDIES) if each.name in IN_CI], ids=lambda it: it.name
)
def test_nobody_loses_what_could_be_served_and_the_remedy_helps(
    fault: Fault, make: Callable[[], Containers]
) -> None:
    stack = make()
    try:
        outcome = run(fault, stack, IN_CI[fault.name])
    finally:
        stack.remove()
    assert outcome.faults == [], outcome
