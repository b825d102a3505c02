"""What the waiter says when a fact does not come true."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.harness.waiting import NotInTimeError, wait_until


def test_the_first_true_result_is_returned() -> None:
    numbers = itertools.count()
    assert wait_until(lambda: next(numbers) // 3, "the third number") == 1


def test_a_fact_is_looked_at_once_however_short_the_limit() -> None:
    assert wait_until(lambda: "there", "it", limit=0) == "there"


def test_a_failure_names_the_fact_the_time_and_what_was_seen_last() -> None:
    with pytest.raises(NotInTimeError, match=r"^not within 0\.02 s: a guest; last seen: \[\]$"):
        wait_until(list, "a guest", limit=0.02)
    with pytest.raises(NotInTimeError, match=r"last seen: an empty room$"):
        wait_until(list, "a guest", limit=0, seen=lambda: "an empty room")


def test_an_exception_that_passes_means_not_yet_and_any_other_is_a_failure() -> None:
    steps: Iterator[OSError | str] = iter([OSError("refused"), OSError("refused"), "answered"])

    def look() -> str:
        step = next(steps)
        if isinstance(step, str):
            return step
        raise step

    assert wait_until(look, "an answer", passing=(OSError,)) == "answered"
    with pytest.raises(NotInTimeError, match=r"last seen: ZeroDivisionError: "):
        wait_until(lambda: 1 // 0, "a number", limit=0, passing=(ArithmeticError,))
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: 1 // 0, "a number")


def test_whoever_waits_may_say_what_goes_on_meanwhile() -> None:
    paused: list[float] = []
    wait_until(lambda: len(paused) == 2, "two pauses", pause=paused.append, interval=0.5)
    assert paused == [0.5, 0.5]
