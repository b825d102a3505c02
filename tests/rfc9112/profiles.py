"""Hypothesis's settings: the same examples on every run, and few enough for every commit."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_COMMON = {
    "deadline": None,  # two cores, shared with everything else that is under test
    "database": None,  # a run leaves nothing behind in the checkout
    "suppress_health_check": [HealthCheck.too_slow],
}


def load() -> None:
    """Take the profile that HYPOTHESIS_PROFILE names; ``ci`` where it names none.

    ``explore`` looks for new examples, and for longer.
    """
    settings.register_profile("ci", derandomize=True, max_examples=150, **_COMMON)
    settings.register_profile("explore", max_examples=5000, **_COMMON)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
