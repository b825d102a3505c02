"""Marks tests by where they stand: what starts real processes, and what needs the machine alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
MARKERS = {"integration": pytest.mark.integration, "stack": pytest.mark.stack}
# Beside other tests these would measure those, or wait too long for a screen.
ALONE = (
    "integration/test_stress.py",
    "integration/test_under_attack.py",
    "ops/test_attack.py",
    "ops/test_bench.py",
    "ops/test_soak.py",
    "page",
    "performance",
)

# Files of few tests that take long, each a whole stack: where several run at a time, they begin first.
LONG = ("runbooks", "ops")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test under tests/integration, tests/stack and what `ALONE` names."""
    items.sort(key=lambda item: not any(item.path.is_relative_to(TESTS / each) for each in LONG))
    for item in items:
        if not item.path.is_relative_to(TESTS):
            continue
        path = item.path.relative_to(TESTS)
        marker = MARKERS.get(path.parts[0])
        if marker is not None:
            item.add_marker(marker)
        if any(path.is_relative_to(each) for each in ALONE):
            item.add_marker(pytest.mark.alone)


@pytest.fixture(scope="session")
def venv() -> Path:
    """A virtual environment that has what ``ops/up`` would install: that of the tests."""
    return Path(sys.prefix)
