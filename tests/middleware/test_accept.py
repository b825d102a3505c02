"""What a client prefers: the field Accept."""

from __future__ import annotations

import pytest
from bascule_middleware.exchange.accept import preferred
from hypothesis import given
from hypothesis import strategies as st

OFFERS = ("application/xml", "text/html", "application/json")
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "application/xml"),
        ("*/*", "application/xml"),
        (BROWSER, "text/html"),
        ("text/html", "text/html"),
        ("TEXT/HTML ; Q=0.5", "text/html"),
        ("text/*", "text/html"),
        ("application/json;q=0.5, text/html;q=0.4", "application/json"),
        ("text/html, */*", "text/html"),
        ("text/html, application/xml", "application/xml"),
        ("application/xml;q=0.999, text/html", "text/html"),
        ("text/html;level=1;q=0.3, application/json;q=0.2", "text/html"),
        ("text/html;q=0.3, text/html;level=1;q=0.7, application/json;q=0.5", "text/html"),
        ("text/html;q=0, */*;q=0.1", "application/xml"),
        ("application/*;q=0, */*", "text/html"),
        ("image/png", None),
        ("text/html;q=0", None),
        ("*/*;q=0.000", None),
    ],
)
def test_the_best_weight_wins_then_the_most_exact_range_then_the_first_offer(
    accept: str, expected: str | None
) -> None:
    assert preferred(accept, OFFERS) == expected


@pytest.mark.parametrize("weight", ["high", "nan", "inf", "1e1", "-1", "2", "0.1234", "1.001", ""])
def test_a_range_with_a_malformed_weight_does_not_count(weight: str) -> None:
    assert preferred(f"text/html;q={weight}, application/json;q=0.1", OFFERS) == "application/json"


@given(st.text(alphabet='abtexhml/*;q=01.,"\\ ', max_size=60))
def test_any_field_has_an_answer_among_the_offers(accept: str) -> None:
    assert preferred(accept, OFFERS) in (*OFFERS, None)
