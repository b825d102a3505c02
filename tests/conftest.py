"""Marks tests by where they stand: what starts real processes, and what needs the machine alone."""

from __future__ import annotations

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test under tests/integration, tests/stack and what `ALONE` names."""
    for item in items:
        if not item.path.is_relative_to(TESTS):
            continue
        path = item.path.relative_to(TESTS)
        marker = MARKERS.get(path.parts[0])
        if marker is not None:
            item.add_marker(marker)
        if any(path.is_relative_to(each) for each in ALONE):
            item.add_marker(pytest.mark.alone)
