"""Some cells of the matrix of faults (tests/survival/run has all of it) in local mode."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.survival.cell import run
from tests.survival.faults import ALL, REMEDIES, Fault
from tests.survival.stacks import Local

pytestmark = pytest.mark.integration

# By name, each with the number of workers.
IN_CI = {
    "a worker is stopped": 2,
    "20 calls hang": 1,
    "the import fails": 2,
    "supervisord is killed": 2,
    "the run directory's disk is full": 1,
    "nginx is ended by hand": 1,
    "the counters are broken": 1,
    "a process of the Procfile keeps ending": 1,
    "a process of the Procfile is ended by hand": 1,
}


@pytest.mark.parametrize(
    "fault", [each for each in (*ALL, *REMEDIES) if each.name in IN_CI], ids=lambda it: it.name
)
def test_nobody_loses_what_could_be_served_and_the_remedy_helps(fault: Fault, venv: Path) -> None:
    stack = Local(venv)
    try:
        if fault.disk and fault.disk not in stack.disks:
            pytest.skip("this user may not mount a disk")
        outcome = run(fault, stack, IN_CI[fault.name])
    finally:
        stack.remove()
    assert outcome.faults == [], outcome
