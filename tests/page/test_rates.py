"""The page and the terminal view compute the same from the same snapshots."""

from __future__ import annotations

from dataclasses import astuple
from itertools import pairwise
from typing import Any

import pytest
from bascule_ops.observe.rates import Histogram, Rates, between

from tests.page import scenes
from tests.page.conftest import Visitor

NAMES = (
    *("requests", "clientErrors", "serverErrors"),
    *("p50", "p95", "p99", "wait50", "wait99"),
)


def of_page(rates: dict[str, float | None]) -> Rates:
    return Rates(*(rates[name] for name in NAMES))  # type: ignore[arg-type]


def began_anew(seconds: float) -> dict[str, Any]:
    """A worker whose counters were lost after four seconds."""
    lived = seconds if seconds < 5 else seconds - 5
    return scenes.snapshot(
        seconds, [scenes.worker("0", seconds, 90.0, metrics=scenes.metrics(lived, 90.0))]
    )


def a_worker_more(seconds: float) -> dict[str, Any]:
    """A second worker comes after three seconds."""
    names = ("0", "1") if seconds > 3 else ("0",)
    return scenes.snapshot(seconds, [scenes.worker(name, seconds, 70.0) for name in names])


@pytest.mark.integration
def test_the_page_and_the_terminal_agree(visit: Visitor) -> None:
    page = visit().open()
    page.evaluate(
        "import(new URL('status/model.js', location)).then((model) => { window.model = model; })"
    )
    known = (scenes.calm, scenes.trouble, scenes.idle, scenes.hostile, began_anew, a_worker_more)
    for scene in known:
        for before, after in pairwise(scene(float(number)) for number in (0, 2, 4, 6, 16)):
            shown = page.evaluate("([one, other]) => model.between(one, other)", [before, after])
            computed = between(before, after)
            assert computed is not None
            assert astuple(of_page(shown["total"])) == pytest.approx(astuple(computed.total))
            assert {*shown["workers"]} == {*computed.workers}
            for name, rates in shown["workers"].items():
                assert astuple(of_page(rates)) == pytest.approx(astuple(computed.workers[name]))


def test_where_nobody_counts_nothing_is_said_of_rates() -> None:
    one, other = (
        scenes.snapshot(now, [scenes.worker("0", now, 1.0, metrics=None)]) for now in (0.0, 2.0)
    )
    assert between(one, other) is None


def test_counters_that_went_back_count_from_nought() -> None:
    rates = between(began_anew(4), began_anew(6))
    assert rates is not None
    assert rates.total.requests == 90 / 2


def test_a_snapshot_of_the_same_moment_says_nothing() -> None:
    assert between(scenes.calm(2), scenes.calm(2)) is None


@pytest.mark.parametrize(
    ("counts", "part", "seconds"),
    [
        ([10, 10, 10], 0.5, 0.05),  # halfway into the first bucket, which begins at nought
        ([0, 10, 10], 0.5, 0.15),
        ([5, 10, 10], 0.5, 0.1),
        ([0, 0, 0], 0.5, 0.4),  # all beyond the last bound
        ([4, 4, 10], 0.9, 0.2 + 0.2 * 5 / 6),
    ],
)
def test_a_quantile_is_linear_within_its_bucket(
    counts: list[int], part: float, seconds: float
) -> None:
    assert Histogram([0.1, 0.2, 0.4], counts, 10).quantile(part) == pytest.approx(seconds)


def test_of_no_calls_there_is_no_quantile() -> None:
    assert Histogram([0.1], [0], 0).quantile(0.5) is None
