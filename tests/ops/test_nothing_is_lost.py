"""Each operation under a load that accounts for every request: none fails.

The same with 20,000 requests each: ``python -m tests.drill``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drill.case import Case, run
from tests.drill.cases import LOCAL
from tests.drill.local import Local

pytestmark = pytest.mark.integration

# With one worker they run by command only, but for the restart (test_restart): a build has 25 minutes.
IN_CI = [case for case in LOCAL if case.settings.get("WORKERS") != "1"]
REQUESTS = 1500  # of each case, at the least
RATE = 300.0  # a second


@pytest.mark.parametrize("case", IN_CI, ids=lambda case: case.name)
def test_nothing_is_lost(case: Case, venv: Path) -> None:
    stack = Local(venv)
    try:
        outcome = run(case, stack, REQUESTS, RATE)
    finally:
        stack.remove()
    assert not outcome.unexcused, outcome.explain()
