"""Where calls are slow: what is added up, what is kept, and what is logged how often."""

from __future__ import annotations

import gc
import logging
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, cast

import pytest
from bascule.engine.abandoned import AbandonedCall
from bascule.engine.call import Call, Task
from bascule.engine.expectations import SLOW
from bascule.engine.service import Service
from bascule.told import event_log
from bascule.told.event_log import timestamp
from bascule.watch.slow_calls import EVENT_INTERVAL, LOCATIONS, SlowCalls

from tests.server.meeting import Meeting

Threads = Callable[[str], int]


class Process:
    """A process whose calls are what the test says; the leader calls back at once."""

    def __init__(self) -> None:
        self.running: list[Call] = []
        self.is_alone = False
        self.crew = self.loop = self

    def calls(self) -> list[Call]:
        return self.running

    def call_soon(self, call: Callable[[], None]) -> None:
        call()

    def runs(self, thread: int, age: float) -> Call:
        call = Call(thread, cast("Task", None), time.monotonic() - age)
        self.running.append(call)
        return call


class Clock:
    """Moments that the test says: on the monotonic clock, and since the epoch (seconds)."""

    def __init__(self) -> None:
        self.now = 4096.0
        self.date = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr("time.monotonic", lambda: found.now)
    monkeypatch.setattr("time.time", lambda: found.date)
    return found


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.fixture
def slow_calls(process: Process) -> SlowCalls:
    return SlowCalls(cast("Service", process), totals=True)


@pytest.fixture
def waits() -> Iterator[Threads]:
    """Run threads that wait in functions of given names."""
    go_on = threading.Event()
    with ExitStack() as stack:
        stack.callback(go_on.set)

        def start(name: str) -> int:
            inside = threading.Event()
            names: dict[str, Any] = {"inside": inside, "go_on": go_on}
            code = f"def {name}():\n    inside.set()\n    go_on.wait()\n"
            exec(compile(code, f"/srv/{name}.py", "exec"), names)
            thread = threading.Thread(target=names[name], daemon=True)
            thread.start()
            assert inside.wait(10)
            assert thread.ident is not None
            return thread.ident

        yield start


def reported(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    event_log.settle()
    return [each for each in caplog.records if getattr(each, "event", "") == "slow_call"]


def test_a_call_is_slow_once_it_has_taken_a_while(
    process: Process, slow_calls: SlowCalls, waits: Threads, clock: Clock
) -> None:
    process.runs(waits("quick"), SLOW / 2)
    process.runs(waits("query"), 60.1236)
    clock.date = 784111777.5
    slow_calls.look()
    (place,) = slow_calls.summary()
    assert place.pop("location").startswith("/srv/query.py:")
    assert place == {"count": 1, "total_s": 60.124, "last": timestamp(clock.date), "path": ""}


def test_what_a_call_has_taken_is_added_up_once(
    process: Process, slow_calls: SlowCalls, waits: Threads, clock: Clock
) -> None:
    process.runs(waits("query"), 60)
    for _ in range(5):
        clock.date += 1
        clock.now += 1
        slow_calls.look()
    (place,) = slow_calls.summary()
    assert (place["count"], place["total_s"]) == (5, 65)
    assert place["last"] == timestamp(clock.date)


def test_of_a_call_its_request_is_told_and_the_time_that_the_application_has_had_it(
    process: Process, slow_calls: SlowCalls, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """None while it waits for its client, but all of it once it was given up."""
    caplog.set_level(logging.INFO)
    with ExitStack() as stack:
        meeting = Meeting(stack)
        meeting.may_answer.clear()
        call = meeting.begin()._replace(started=clock.now - 60)
        process.running.append(call)
        slow_calls.look()
        AbandonedCall(call, meeting.connection, meeting.service)
        clock.now += 120
        slow_calls.look()
        assert [each["count"] for each in slow_calls.summary()] == [1]
        process.running[:] = [call._replace(is_abandoned=True)]
        slow_calls.look()
        meeting.may_answer.set()
        meeting.thread.join()
    first, second = (vars(each) for each in reported(caplog))
    assert first["message"].startswith("GET /at is slow: ")
    assert (first["request_id"], first["path"], first["age_s"]) == ("f00d", "/at", 60)
    assert second["age_s"] == 180
    (place,) = slow_calls.summary()
    assert (place["path"], place["count"], place["total_s"]) == ("/at", 2, 180)


def test_what_is_known_of_calls_goes_with_them(
    process: Process, slow_calls: SlowCalls, waits: Threads, clock: Clock
) -> None:
    thread = waits("query")

    def look(age: float) -> None:
        process.running.clear()
        process.runs(thread, age)
        slow_calls.look()

    tracemalloc.start()
    try:
        held = []
        for began in (0, 1000):
            for number in range(began, began + 1000):
                look(number)
            event_log.settle()
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert held[1] - held[0] < 100_000


def test_the_costliest_place_comes_first(
    process: Process, slow_calls: SlowCalls, waits: Threads
) -> None:
    for name, age in (("cheap", 1), ("dear", 100), ("middling", 10)):
        process.runs(waits(name), age)
    slow_calls.look()
    names = [place["location"].split()[-1] for place in slow_calls.summary()]
    assert names == ["dear", "middling", "cheap"]


def test_of_many_places_the_one_seen_longest_ago_goes(
    process: Process, slow_calls: SlowCalls, waits: Threads
) -> None:
    for number in range(LOCATIONS + 1):
        process.running.clear()
        process.runs(waits(f"place_{number}"), 1)
        slow_calls.look()
    found = {place["location"].split()[-1] for place in slow_calls.summary()}
    assert found == {f"place_{number}" for number in range(1, LOCATIONS + 1)}


def test_one_event_a_second_however_many_calls_are_slow(
    process: Process,
    slow_calls: SlowCalls,
    waits: Threads,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    for number in range(4):
        process.runs(waits(f"slow_{number}"), 10.0004 + number)
    for _ in range(4):
        slow_calls.look()
    slow_calls.on_slow(process.running[0])
    (first,) = reported(caplog)
    found = vars(first)
    assert found["location"].endswith(" slow_3"), "the oldest is the first"
    assert found["location"] in found["frames"]
    assert found["age_s"] == 13
    assert (found["request_id"], found["method"], found["path"]) == ("", "", "")
    assert sum(place["count"] for place in slow_calls.summary()) == 17
    clock.now += EVENT_INTERVAL
    slow_calls.on_slow(process.running[0])
    slow_calls.on_slow(process.running[1])
    slow_calls.look()
    locations = [vars(each)["location"].split()[-1] for each in reported(caplog)]
    assert locations == ["slow_3", "slow_0"]


@pytest.mark.parametrize(
    ("age", "told"),
    [(SLOW, [SLOW, 1 + SLOW, 3 + SLOW, 7 + SLOW, 15 + SLOW]), (1, [1, 2, 4, 8, 16])],
)
def test_a_call_is_logged_again_when_its_age_has_doubled(  # noqa: PLR0917
    age: float,
    told: list[float],
    process: Process,
    slow_calls: SlowCalls,
    waits: Threads,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And not each second that it takes."""
    caplog.set_level(logging.INFO)
    process.runs(waits("query"), age)
    for _ in range(20):
        slow_calls.look()
        clock.now += 1
    assert [vars(each)["age_s"] for each in reported(caplog)] == told
    assert slow_calls.summary()[0]["count"] == 20


def test_without_anybody_who_asks_nothing_is_added_up(
    process: Process, waits: Threads, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    slow_calls = SlowCalls(cast("Service", process), totals=False)
    for _ in range(2):
        slow_calls.on_slow(process.runs(waits("query"), 1))
    assert slow_calls.summary() == []
    assert len(reported(caplog)) == 1


def test_a_thread_that_has_ended_is_nowhere(process: Process, slow_calls: SlowCalls) -> None:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join(10)
    assert thread.ident is not None
    slow_calls.on_slow(process.runs(thread.ident, 1))
    slow_calls.look()
    assert slow_calls.summary() == []


def test_where_the_server_is_at_work_the_application_is_not_slow(
    process: Process, slow_calls: SlowCalls, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    # This thread is in the server for as long as it looks at itself.
    call = process.runs(threading.get_ident(), 60)
    slow_calls.on_slow(call)
    slow_calls.look()
    assert slow_calls.summary() == []
    assert reported(caplog) == []
