"""The answer to requests that no thread is to be had for. Times are given, none pass."""

from __future__ import annotations

import logging
import math

import pytest
from bascule.engine.overload import Overload
from bascule.told import event_log

Answer = tuple[str, dict[str, str], bytes]


def answered(overload: Overload, wait: float, now: float = 1000.0) -> Answer:
    """Return what a client is told: status, fields, body."""
    begun: list[tuple[str, dict[str, str]]] = []

    def start_response(status: str, fields: list[tuple[str, str]], *_: object):
        begun.append((status, dict(fields)))
        return lambda _data: None

    body = b"".join(overload.refusal(wait, now)({}, start_response))
    ((status, fields),) = begun
    return status, fields, body


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [(0.0, "1"), (1.0, "1"), (1.01, "2"), (59.5, "60"), (61.0, "60"), (1e9, "60")],
)
def test_it_says_when_to_come_again_in_whole_seconds_from_1_to_60(
    wait: float, seconds: str
) -> None:
    status, fields, body = answered(Overload(4, 100), wait)
    assert status == "503 Service Unavailable"
    assert fields["Retry-After"] == seconds
    assert body == b"503 Service Unavailable: too many requests wait for a thread\n"


def test_refusals_are_logged_once_a_second_with_their_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    overload = Overload(4, 100)
    with caplog.at_level(logging.WARNING):
        for now in (1000.0, 1000.5, 1000.999, 1001.0, 1001.5):
            answered(overload, 1.0, now)
        for now in (1001.9, 1002.0, 1003.0):  # as ticks do
            overload.report(now)
        event_log.settle()
    assert [each.refused for each in caplog.records] == [1, 3, 1]
    assert "4 threads" in caplog.text
    assert "100 requests wait" in caplog.text


def test_who_would_wait_for_calls_that_hang_is_told_so_and_to_come_again_late(
    caplog: pytest.LogCaptureFixture,
) -> None:
    overload = Overload(4, 100)
    with caplog.at_level(logging.WARNING):
        _, fields, body = answered(overload, math.inf)
        for wait in (math.inf, 1.0, math.inf):
            answered(overload, wait, 1000.5)
        overload.report(1001.0)
        event_log.settle()
    assert fields["Retry-After"] == "60"
    assert body.startswith(b"503 Service Unavailable: calls hang")
    told = [(each.refused, "calls hang (hung_request)" in each.message) for each in caplog.records]
    assert told == [(1, True), (1, False), (2, True)]
