"""Who has a place: slow, long and hung calls leave some to others. Times are given, none pass."""

from __future__ import annotations

import pytest
from bascule.engine.call import Call
from bascule.engine.expectations import LONG, MEMORY, SLOW, Expectations
from bascule.engine.places import FAST_MEMORY, PLACES_TO_SPARE, Places

from tests.server.shift import Work

NOW = 1000.0


class Hall:
    """Places, and the calls that hold them."""

    def __init__(self, threads: int) -> None:
        self.expected = Expectations()
        self.places = Places(threads, self.expected)
        self.calls: list[Call] = []

    def hold(self, kind: str, age: float = 0.0, *, hung: bool = False) -> None:
        self.calls.append(Call(len(self.calls), Work(kind=kind), NOW - age, is_abandoned=hung))

    def give_up(self, *numbers: int) -> None:
        for number in numbers:
            self.calls[number] = self.calls[number]._replace(is_abandoned=True)
        self.places.note_hung([call.task.kind for call in self.calls if call.is_abandoned])

    def wait(self, *kinds: str) -> None:
        self.places.ready.extend(Work(kind=kind) for kind in kinds)

    def next(self, now: float = NOW) -> object:
        """Give the next task a place; return its kind, None where nobody has one."""
        taken = self.places.are_taken(self.calls, now)
        task = self.places.take(self.calls, now)
        assert task is None or not taken, "it said that all places are taken"
        if task is None:
            assert self.places.are_taken(self.calls, now), "it says that somebody has a place"
            return None
        self.calls.append(Call(len(self.calls), task, now))
        return task.kind

    def all_next(self, now: float = NOW) -> list[object]:
        return [*iter(lambda: self.next(now), None)]


@pytest.mark.parametrize("threads", [2, 3, 4, 8])
def test_a_kind_that_was_seen_to_be_long_holds_all_places_but_one(threads: int) -> None:
    hall = Hall(threads)
    hall.expected.note("long", LONG)
    hall.wait(*["long"] * threads, "other", "another")
    assert hall.all_next() == ["long"] * (threads - 1) + ["other"]
    assert len(hall.places) == 2


def test_the_last_place_is_for_a_long_kind_where_others_hold_one() -> None:
    hall = Hall(4)
    for kind in ("long", "long", "other"):
        hall.hold(kind)
    hall.expected.note("long", LONG)
    hall.wait("long")
    assert hall.next() == "long"


def test_kinds_that_were_seen_to_be_long_hold_them_together() -> None:
    hall = Hall(4)
    for kind in ("one", "two"):
        hall.expected.note(kind, LONG)
    hall.wait("one", "two", "one", "two", "other")
    assert hall.all_next() == ["one", "two", "one", "other"]


def test_a_kind_is_seen_to_be_long_while_its_calls_go_on() -> None:
    hall = Hall(4)
    hall.hold("long", LONG)
    hall.hold("long", LONG)
    hall.hold("long", LONG / 2)
    hall.wait("long", "other")
    assert hall.all_next() == ["other"]


def test_a_kind_that_was_long_has_all_places_once_some_in_a_row_were_not() -> None:
    hall = Hall(2)
    hall.expected.note("kind", LONG)
    for _ in range(MEMORY):
        assert hall.expected.is_long("kind")
        hall.expected.note("kind", LONG / 2)
    hall.wait("kind", "kind")
    assert hall.all_next() == ["kind", "kind"]


@pytest.mark.parametrize("threads", [2, 4, 8])
def test_a_kind_of_calls_below_a_second_has_all_places(threads: int) -> None:
    hall = Hall(threads)
    hall.expected.note("kind", 0.010)
    hall.wait(*["kind"] * (threads + 1))
    assert hall.all_next() == ["kind"] * threads


@pytest.mark.parametrize("threads", [2, 4, 8])
def test_beside_long_calls_in_all_places_one_further_opens_for_other_kinds(threads: int) -> None:
    hall = Hall(threads)
    for _ in range(threads):
        hall.hold("burst", LONG)
    hall.wait("burst", "other", "another")
    assert hall.all_next() == ["other"]
    del hall.calls[-1]
    assert hall.all_next() == ["another"]


def test_no_further_place_opens_while_one_of_the_calls_may_be_short() -> None:
    hall = Hall(3)
    hall.hold("burst", LONG)
    hall.hold("burst", LONG)
    hall.hold("burst", LONG / 2)
    hall.wait("other")
    assert hall.all_next() == []
    assert hall.all_next(NOW + LONG / 2) == ["other"]


def test_one_further_place_opens_and_no_second() -> None:
    hall = Hall(3)
    for kind in ("one", "two", "three", "four"):
        hall.hold(kind, LONG)
    hall.wait("five")
    assert hall.all_next() == []


def test_a_hung_call_holds_no_place_until_as_many_hang_as_there_are_threads() -> None:
    hall = Hall(3)
    for hung in range(6):
        hall.calls = []
        for _ in range(hung):
            hall.hold("hung", 60, hung=True)
        hall.places.ready.clear()
        hall.wait(*["other"] * 4)
        assert len(hall.all_next()) == min(3, 6 - hung)
    hall.hold("hung", 60, hung=True)
    assert hall.all_next() == []


@pytest.mark.parametrize("threads", [2, 4, 8])
def test_once_as_many_hang_as_there_are_threads_their_kinds_have_no_place(threads: int) -> None:
    hall = Hall(threads)
    for _ in range(threads):
        hall.hold("hung", 60)
    hall.wait("hung", "other", "hung", "another")
    hall.give_up(*range(threads - 1))
    assert not hall.places.has_hopeless
    hall.give_up(threads - 1)
    assert hall.places.has_hopeless
    assert hall.all_next() == ["other", "another"]
    assert [task.kind for task in hall.places.take_hopeless()] == ["hung", "hung"]
    assert len(hall.places) == 0
    hall.calls = []
    hall.give_up()
    hall.wait("hung")
    assert not hall.places.has_hopeless
    assert hall.all_next() == ["hung"]


def test_once_twice_as_many_hang_as_there_are_threads_nobody_has_a_place() -> None:
    hall = Hall(2)
    for number in range(4):
        hall.hold(f"hung-{number}", 60)
    hall.wait("other", "hung-1")
    hall.give_up(0, 1, 2)
    assert [task.kind for task in hall.places.take_hopeless()] == ["hung-1"]
    hall.give_up(3)
    assert hall.places.has_hopeless
    assert [task.kind for task in hall.places.take_hopeless()] == ["other"]


def test_a_further_place_opens_beside_the_last_that_hung_calls_have_left() -> None:
    hall = Hall(2)
    for _ in range(3):
        hall.hold("hung", LONG, hung=True)
    hall.hold("long", LONG)
    hall.wait("other", "another")
    assert hall.all_next() == ["other"]


def test_the_last_place_beside_hung_calls_is_for_any_kind() -> None:
    hall = Hall(2)
    for _ in range(3):
        hall.hold("hung", 60, hung=True)
    hall.expected.note("long", LONG)
    hall.wait("long")
    assert hall.all_next() == ["long"]


def test_the_slow_leave_a_place_to_the_fast_for_a_while_after_one_of_these() -> None:
    hall = Hall(PLACES_TO_SPARE)
    hall.expected.note("slow", SLOW)
    hall.places.note_fast(NOW)
    hall.wait(*["slow"] * 4, "fast")
    assert hall.all_next() == ["slow"] * 3 + ["fast"]
    del hall.calls[-1]
    assert hall.all_next(NOW + FAST_MEMORY * 0.99) == []
    hall.calls = [call._replace(started=NOW + FAST_MEMORY) for call in hall.calls]
    assert hall.all_next(NOW + FAST_MEMORY) == ["slow"]


def test_the_slow_have_the_place_beside_long_calls_though_there_are_fast_ones() -> None:
    hall = Hall(4)
    hall.expected.note("slow", SLOW)
    hall.places.note_fast(NOW)
    for _ in range(3):
        hall.hold("long", LONG)
    hall.wait("slow", "slow")
    assert hall.all_next() == ["slow"]
    del hall.calls[-1]
    hall.hold("burst", LONG)
    assert hall.all_next() == ["slow"]


def test_who_waits_longest_is_next() -> None:
    hall = Hall(2)
    hall.expected.note("long", LONG)
    hall.hold("long", LONG)
    hall.hold("other")
    hall.wait("long", "slow", "fast", "long")
    assert hall.all_next() == []
    del hall.calls[-1]
    assert hall.next() == "slow"
    del hall.calls[:]
    assert hall.all_next() == ["long", "fast"]


def test_the_latest_are_more_than_may_wait() -> None:
    hall = Hall(2)
    hall.expected.note("long", LONG)
    hall.hold("long", LONG)
    hall.wait("long", "long")
    assert hall.all_next() == []
    hall.wait("first", "second")
    assert [task.kind for task in hall.places.take_surplus(1)] == ["second", "first", "long"]
    assert len(hall.places) == 1
