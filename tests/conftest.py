"""Marks the tests that start real processes by the directory that they stand in."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
MARKERS = {"integration": pytest.mark.integration, "stack": pytest.mark.stack}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test under tests/integration and tests/stack the directory's marker."""
    for item in items:
        if not item.path.is_relative_to(TESTS):
            continue
        marker = MARKERS.get(item.path.relative_to(TESTS).parts[0])
        if marker is not None:
            item.add_marker(marker)
