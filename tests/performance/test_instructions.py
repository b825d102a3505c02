"""A request costs no more instructions than recorded: a guard against slow change, with no clock.

Instructions are not time, but what a change adds to one request it adds on every machine alike.
"""

from __future__ import annotations

import os
import shutil

import pytest

from . import instructions
from .instructions import SCENARIOS, interpreter, recorded

ALLOWED = 0.05  # so much may a count differ from the recorded one
TOOL = ".venv/bin/python -m tests.performance.instructions"
HOW = f"""
Look where they are spent, here and on the revision before: {TOOL} --look '{{name}}'
If the change is worth it, record the new figures with it:  {TOOL} --accept"""


def verdict(name: str, counted: int, figure: int) -> tuple[str, str]:
    """Return a failure and a note, each empty for none."""
    change = counted / figure - 1
    said = f"{name}: {counted:,} instructions a request, {change:+.1%} of the recorded {figure:,}."
    if change > ALLOWED:
        return said + HOW.format(name=name), ""
    if change < -ALLOWED:
        return "", f"{said} Record the improvement, so that it is kept: {TOOL} --accept"
    return "", ""


def cannot(reason: str) -> None:
    """Skip; where nothing may be skipped, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.mark.integration
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_request_costs_no_more_instructions_than_recorded(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("valgrind") is None:
        cannot("valgrind, a package of Debian's, is not installed")
    figure = recorded().get(interpreter(), {}).get(name)
    if figure is None:
        cannot(f"no figure for {interpreter()!r}: record it with {TOOL} --accept")
    assert figure is not None
    failure, note = verdict(name, instructions.count(SCENARIOS[name]), figure)
    if note:
        with capsys.disabled():
            print("\n" + note)
    assert not failure, failure


def test_growth_within_the_margin_is_accepted() -> None:
    assert verdict("hello", 104_900, 100_000) == ("", "")
    assert verdict("hello", 95_100, 100_000) == ("", "")


def test_growth_past_the_margin_fails_and_says_how_to_look_and_how_to_accept() -> None:
    failure, note = verdict("hello", 105_100, 100_000)
    assert "105,100 instructions a request, +5.1% of the recorded 100,000" in failure
    assert "--look 'hello'" in failure
    assert "--accept" in failure
    assert note == ""


def test_an_improvement_past_the_margin_is_noted_and_does_not_fail() -> None:
    failure, note = verdict("hello", 94_000, 100_000)
    assert failure == ""
    assert "-6.0%" in note
    assert "--accept" in note


def test_every_recorded_interpreter_has_every_scenario() -> None:
    for name, figures in recorded().items():
        assert set(figures) == set(SCENARIOS), name


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "hello"])
def test_no_two_requests_of_traffic_are_alike(name: str) -> None:
    assert len(set(SCENARIOS[name].requests(100))) == 100
