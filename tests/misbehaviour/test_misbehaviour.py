"""Whatever an application does: the worker lives, others are answered, the log says so."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from tests.misbehaviour.cases import Case, all_cases
from tests.misbehaviour.drive import Verdict, judge_all
from tests.misbehaviour.servers import BASCULE

CASES = all_cases()
AT_ONCE = 4  # most of the time they wait

# All are run while the first test waits for them.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def verdicts(request: pytest.FixtureRequest) -> Mapping[str, Verdict]:
    """Return what was seen of each application that was chosen, by its name."""
    chosen = {
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.path == request.path
        and hasattr(item, "callspec")
    }
    found: dict[str, Verdict] = {}

    def on_verdict(case: Case, verdict: Verdict) -> None:
        found[case.name] = verdict

    asyncio.run(judge_all([CASES[name] for name in chosen], BASCULE, AT_ONCE, on_verdict))
    return found


@pytest.mark.parametrize("name", CASES)
def test_the_server_bears(name: str, verdicts: Mapping[str, Verdict]) -> None:
    verdict = verdicts[name]
    assert verdict.faults == [], f"{'; '.join(verdict.faults)}\n{verdict.log}"
