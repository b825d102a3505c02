"""What is told of requests in flight, and of the process that has them."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from bascule.told.recent_errors import RecentErrors
from bascule.watch import in_flight
from bascule.watch.in_flight import InFlight
from bascule.watch.slow_calls import SlowCalls
from bascule.watch.status import Status

from tests.server.meeting import BEGAN, Clock, Meeting


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


def status_of(meeting: Meeting) -> Status:
    return Status(meeting.service, RecentErrors(), SlowCalls(meeting.service, totals=True))


@pytest.mark.parametrize(("later", "age"), [(0.25, 0.25), (0.0, 0.0), (-1.0, 0.0)])
def test_a_request_is_told_with_its_age(
    clock: Clock, stack: ExitStack, later: float, age: float
) -> None:
    meeting = Meeting(stack)
    meeting.may_answer.clear()
    call = meeting.begin()
    clock.now += later
    found = list(in_flight.requests(meeting.service, [call]))
    meeting.may_answer.set()
    meeting.thread.join()
    assert found == [
        InFlight("running", "f00d", "GET", "/at", "/at", "192.0.2.1", age, call.thread)
    ]


def test_a_process_tells_for_how_long_it_has_been_there_and_what_runs_it(
    clock: Clock, stack: ExitStack
) -> None:
    meeting = Meeting(stack)
    status = status_of(meeting)
    meeting.may_answer.clear()
    meeting.begin()
    clock.now = BEGAN + 1.2346
    document = status.document()
    meeting.may_answer.set()
    meeting.thread.join()
    assert document["uptime_s"] == 1.235
    assert [each["age_s"] for each in document["requests"]] == [1.235]
    assert document["python"] == platform.python_version()


@pytest.mark.parametrize(
    ("threads", "size", "extra"),
    [(1, 0, 0), (1, 1, 0), (1, 3, 2), (2, 2, 0), (2, 3, 0), (2, 5, 2), (8, 9, 0), (8, 10, 1)],
)
def test_threads_are_extra_beyond_those_that_a_crew_has_anyway(
    stack: ExitStack, threads: int, size: int, extra: int
) -> None:
    """One for each call and one that leads; a crew of one thread has no more."""
    meeting = Meeting(stack, threads)
    status = status_of(meeting)
    meeting.service.crew.size = size
    assert status.document()["threads_extra"] == extra
