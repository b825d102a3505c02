"""Each operation under a load that accounts for every request: none fails.

The same with 20,000 requests each: ``python -m tests.drill``.
"""

from __future__ import annotations

import pytest

from tests.drill.case import Case, run
from tests.drill.cases import CASES
from tests.ops.harness import Tree

pytestmark = pytest.mark.integration

# With one worker they run by command only, but for the restart (test_restart): a build has 25 minutes.
IN_CI = [case for case in CASES if case.settings.get("WORKERS") != "1"]
REQUESTS = 1500  # of each case, at the least
RATE = 300.0  # a second


@pytest.mark.parametrize("case", IN_CI, ids=lambda case: case.name)
def test_nothing_is_lost(case: Case, tree: Tree) -> None:
    outcome = run(case, tree, REQUESTS, RATE)
    assert not outcome.unexcused, outcome.explain()
