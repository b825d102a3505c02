"""What fails is noted at its place: counted, told once in a while, and survived."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bascule import guard
from bascule.guard import ERROR_SIZE, TELL_INTERVAL, Failure, Place


class Clock:
    """The monotonic clock, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr("time.monotonic", found)
    return found


@pytest.fixture
def told() -> Iterator[list[Failure]]:
    """Collect what is told."""
    found: list[Failure] = []
    guard.tell(found.append)
    yield found
    guard.tell(lambda _failure: None)
    guard.count(lambda: None)


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Place:
    """A place of this test's own."""
    return Place(f"test {request.node.name}", "Something of a test's failed")


def test_a_failure_is_told_with_its_place(place: Place, told: list[Failure]) -> None:
    place.note(error := ValueError("no"))
    assert told == [Failure(place.name, place.meaning, error, 0)]


def test_what_fails_again_is_told_later_with_the_number_of_those_between(
    place: Place, told: list[Failure], clock: Clock
) -> None:
    for _ in range(5):
        place.note(ValueError("no"))
    assert len(told) == 1
    clock.now += TELL_INTERVAL
    place.note(ValueError("again"))
    place.note(ValueError("again"))
    assert [each.kept_back for each in told] == [0, 4]
    clock.now += TELL_INTERVAL
    place.note(ValueError("again"))
    assert [each.kept_back for each in told] == [0, 4, 1]
    assert place.count == 8


def test_one_place_does_not_keep_another_one_silent(
    place: Place, told: list[Failure], clock: Clock
) -> None:
    other = Place(f"another than {place.name}", "Something else failed")
    place.note(ValueError())
    other.note(ValueError())
    assert [each.place for each in told] == [place.name, other.name]


def test_each_failure_is_counted(place: Place, told: list[Failure]) -> None:
    counted: list[int] = []
    guard.count(lambda: counted.append(1))
    for _ in range(3):
        place.note(ValueError())
    assert len(counted) == 3


class Unspeakable(BaseException):  # as an application's may be named
    def __str__(self) -> str:
        raise KeyboardInterrupt


@pytest.mark.parametrize("error", [MemoryError(), SystemExit(3), Unspeakable(), GeneratorExit()])
def test_whatever_was_raised_is_noted(
    place: Place, told: list[Failure], error: BaseException
) -> None:
    place.note(error)
    assert place.count == 1
    assert place.error.startswith(type(error).__name__)


def test_whoever_tells_or_counts_may_fail_too(place: Place, told: list[Failure]) -> None:
    def fail(*_arguments: object) -> None:
        place.note(ValueError("within"))  # and comes back here
        raise SystemExit

    guard.tell(fail)
    place.note(ValueError())
    assert place.count == 2
    guard.count(lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    place.note(ValueError())
    assert place.count == 3


def test_the_places_that_failed_are_listed_the_latest_first(
    place: Place, told: list[Failure], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1e9
    monkeypatch.setattr("time.time", lambda: now)
    other = Place(f"another than {place.name}", "Something else failed")
    place.note(ValueError("a\nb"))
    now += 1e9
    other.note(ValueError("x" * 1000))
    latest, before = [
        each for each in guard.failures() if each["place"] in (place.name, other.name)
    ]
    assert before == {
        "place": place.name, "count": 1, "last": 1e9, "error": "ValueError: a b",
    }  # fmt: skip
    assert len(latest["error"]) == ERROR_SIZE


def test_no_two_places_have_one_name(place: Place) -> None:
    with pytest.raises(ValueError, match=place.name):
        Place(place.name, "Something else failed")
    assert place in guard.places()
