"""What calls are expected to take, by what those before took."""

from __future__ import annotations

import pytest
from bascule.engine.expectations import Expectations


def test_a_kind_is_slow_until_eight_of_its_calls_in_a_row_were_not() -> None:
    expected = Expectations()
    expected.note("/slow", 0.005)
    for _ in range(7):
        expected.note("/slow", 0.0049)
    expected.note("/slow", 0.005)
    for _ in range(7):
        expected.note("/slow", 0.0049)
    assert expected.is_slow("/slow")
    expected.note("/slow", 0.0049)
    assert not expected.is_slow("/slow")


def test_a_kind_is_long_until_eight_of_its_calls_in_a_row_were_not() -> None:
    expected = Expectations()
    expected.note("/long", 1.0)
    assert not expected.is_long("/other")
    for _ in range(7):
        expected.note("/long", 0.999)
    assert expected.is_long("/long")
    expected.note("/long", 0.999)
    assert not expected.is_long("/long")
    assert expected.is_slow("/long")


def test_a_long_kind_is_slow_as_well() -> None:
    expected = Expectations()
    expected.note_long("/long")
    assert expected.is_slow("/long")


def test_a_kind_that_was_never_seen_is_slow_where_a_quarter_of_such_were() -> None:
    expected = Expectations()
    for kind in ("/a", "/b"):
        expected.note(kind, 0.01)
        assert not expected.is_slow("/new")
    expected.note("/c", 0.01)
    assert expected.is_slow("/new")
    for kind in ("/d", "/e", "/f"):
        assert expected.is_slow("/new")
        expected.note(kind, 0.001)
    assert not expected.is_slow("/new")


def test_calls_of_a_kind_that_is_known_to_be_slow_say_nothing_of_others() -> None:
    expected = Expectations()
    for _ in range(100):
        expected.note("/slow", 0.01)
    assert not expected.is_slow("/new")
    for kind in ("/b", "/c"):
        expected.note(kind, 0.01)
    assert expected.is_slow("/new")
    for _ in range(7):
        expected.note("/slow", 0.001)
    assert expected.is_slow("/new")


def test_the_last_call_weighs_an_eighth_of_the_average() -> None:
    expected = Expectations()
    expected.note_time(8.0)
    assert expected.call_time == 1.0
    expected.note("/a", 8.0)
    assert expected.call_time == pytest.approx(1.875)


def test_all_kinds_are_forgotten_where_they_are_more_than_1024() -> None:
    expected = Expectations()
    kinds = [f"/{number}" for number in range(1025)]
    for kind in kinds[:1024]:
        expected.note_long(kind)
    expected.note_long(kinds[0])
    assert all(expected.is_long(kind) for kind in kinds[:1024])
    expected.note_long(kinds[1024])
    assert [kind for kind in kinds if expected.is_long(kind)] == [kinds[1024]]
