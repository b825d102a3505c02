"""Counting: every request once, whatever threads end it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from bascule.told.counters import INTERVAL, Counters
from bascule.told.metrics import (
    BOUNDS,
    CLASSES,
    HUNG_REQUESTS,
    SLOW_CALLS,
    WorkerMetrics,
    claim,
    read,
)

Counted = Callable[[], WorkerMetrics]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics"


@pytest.fixture
def counters(path: Path) -> Counters:
    cells = claim(str(path), "0")
    assert cells is not None
    return Counters(cells)


@pytest.fixture
def counted(counters: Counters, path: Path) -> Counted:
    """Add up, and read."""

    def look() -> WorkerMetrics:
        counters.fold(0.0)
        return read(path)[0]

    return look


def test_a_request_is_counted_in_its_class_and_its_buckets(
    counters: Counters, counted: Counted
) -> None:
    counters.note((200, 150, 0.0004, 0.0001))
    counters.note((302, 50, 0.3, 0.02))
    counters.note((500, 10, 61.0, 60.5))
    found = counted()
    assert found.requests == {"1xx": 0, "2xx": 1, "3xx": 1, "4xx": 0, "5xx": 1}
    assert found.sent_bytes == 210
    assert dict(found.duration.buckets) == {bound: 1 if bound < 0.5 else 2 for bound in BOUNDS}
    assert (found.duration.count, found.queue_wait.count) == (3, 3)
    assert found.duration.sum_s == pytest.approx(61.3004)
    assert found.queue_wait.sum_s == pytest.approx(60.5201)


@pytest.mark.parametrize("bound", BOUNDS)
def test_a_bound_belongs_to_its_bucket(bound: float, counters: Counters, counted: Counted) -> None:
    counters.note((200, 0, bound, bound))
    counters.note((200, 0, bound * 1.001, bound * 1.001))
    found = counted()
    assert dict(found.duration.buckets)[bound] == 1
    assert dict(found.queue_wait.buckets)[bound] == 1


def test_a_request_that_was_never_called_did_not_wait(counters: Counters, counted: Counted) -> None:
    counters.note((400, 99, 0.1, -1.0))
    found = counted()
    assert (found.duration.count, found.queue_wait.count, found.queue_wait.sum_s) == (1, 0, 0)


def test_a_request_that_was_called_at_once_waited(counters: Counters, counted: Counted) -> None:
    counters.note((200, 99, 0.1, 0.0))
    found = counted()
    assert (found.queue_wait.count, found.queue_wait.buckets[0]) == (1, (BOUNDS[0], 1))


def test_each_status_is_counted_in_its_class(counters: Counters, counted: Counted) -> None:
    for hundreds in (100, 200, 300, 400, 500):
        for status in (hundreds, hundreds + 1, hundreds + 98):
            counters.note((status, 0, 0.0, 0.0))
    assert counted().requests == dict.fromkeys(CLASSES, 3)


def test_some_statuses_have_a_number_of_their_own(counters: Counters, counted: Counted) -> None:
    for status in (429, 499, 404, 429, 404, 498, 500, 500):
        counters.note((status, 0, 0.0, 0.0))
    found = counted()
    assert found.requests["4xx"] == 6
    assert (found.rate_limited, found.client_disconnects) == (2, 1)


def test_what_is_received_is_added_up_without_a_request_too(
    counters: Counters, counted: Counted
) -> None:
    counters.received += 100
    assert counted().received_bytes == 100
    counters.received += 20
    assert counted().received_bytes == 120
    assert counted().received_bytes == 120


def test_folding_is_due_after_an_interval(counters: Counters) -> None:
    counters.fold(100.0)
    assert counters.due == 100.0 + INTERVAL


def test_many_threads_count_exactly(counters: Counters, counted: Counted) -> None:
    """While one thread adds up all the time."""
    threads, each = 8, 5000
    done = threading.Event()

    def serve() -> None:
        for number in range(each):
            counters.note((200 if number % 2 else 404, 3, 0.0001 * (number % 20), 0.001))
            if not number % 10:
                counters.add(SLOW_CALLS)
                counters.add(HUNG_REQUESTS)

    def add_up() -> None:
        while not done.is_set():
            counters.fold(0.0)

    folding = threading.Thread(target=add_up)
    serving = [threading.Thread(target=serve) for _ in range(threads)]
    folding.start()
    for thread in serving:
        thread.start()
    for thread in serving:
        thread.join(60)
    done.set()
    folding.join(60)
    found, total = counted(), threads * each
    assert (found.requests["2xx"], found.requests["4xx"]) == (total // 2, total // 2)
    assert found.sent_bytes == 3 * total
    assert (found.duration.count, found.queue_wait.count) == (total, total)
    assert found.queue_wait.sum_s == pytest.approx(0.001 * total, abs=0.01)
    assert (found.slow_calls, found.hung_requests) == (total // 10, total // 10)
