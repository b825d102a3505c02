"""What all tests of the server's modules need: Hypothesis's profile, and an end to each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bascule.told import event_log

from tests.rfc9112 import profiles

profiles.load()


@pytest.fixture(autouse=True)
def no_event_of_another_test() -> Iterator[None]:
    """Wait until handlers have heard of the test's events: they are told on a thread."""
    yield
    event_log.settle()
