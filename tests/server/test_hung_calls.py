"""Calls that hang: which are given up and when, what is said of them, and who answers.

A call that is given up in the very moment of its answer has one of both sent, never both.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, cast

import pytest
from bascule.engine.abandoned import AbandonedCall
from bascule.engine.call import Call
from bascule.engine.connection import Connection
from bascule.engine.crew import Crew
from bascule.told import event_log
from bascule.told.counters import Counters
from bascule.told.metrics import HUNG_REQUESTS, private
from bascule.watch.hung_calls import MOMENT, HungCalls

from tests.server.meeting import BEGAN, LONG, Clock, Meeting


@pytest.fixture
def meeting() -> Iterator[Meeting]:
    with ExitStack() as stack:
        yield Meeting(stack)


def test_an_answer_that_the_kernel_has_already_is_the_only_one(meeting: Meeting) -> None:
    meeting.socket.held_after = meeting.gate
    call = meeting.begin()
    assert meeting.socket.sending.wait(LONG)
    abandoned = AbandonedCall(call, meeting.connection, meeting.service)
    meeting.sweep()
    assert abandoned.is_undecided
    meeting.gate.set()
    meeting.thread.join(LONG)
    meeting.sweep()
    assert not abandoned.is_undecided
    received = meeting.received()
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert received.endswith(b"\r\n\r\nanswer")


def test_an_answer_that_the_kernel_is_yet_to_get_is_never_sent(meeting: Meeting) -> None:
    meeting.socket.held_before = meeting.gate
    call = meeting.begin()
    assert meeting.socket.sending.wait(LONG)
    abandoned = AbandonedCall(call, meeting.connection, meeting.service)
    assert abandoned.is_undecided
    meeting.gate.set()
    meeting.thread.join(LONG)
    meeting.sweep()
    received = meeting.received()
    assert received.startswith(b"HTTP/1.1 504 ")
    assert received.count(b"HTTP/1.1") == 1


def test_an_answer_after_the_504_goes_nowhere(meeting: Meeting) -> None:
    meeting.may_answer.clear()
    call = meeting.begin()
    abandoned = AbandonedCall(call, meeting.connection, meeting.service)
    assert not abandoned.is_undecided
    meeting.may_answer.set()
    meeting.thread.join(LONG)
    meeting.sweep()
    received = meeting.received()
    assert received.startswith(b"HTTP/1.1 504 ")
    assert received.count(b"HTTP/1.1") == 1


# --- which are given up, and when ------------------------------------------------------------------

TIMEOUT = 10.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Streams(Meeting):
    """An application that gives a piece of its answer when it may, and then hangs."""

    def __init__(self, stack: ExitStack) -> None:
        super().__init__(stack)
        self.may_answer.clear()
        self.has_given = threading.Event()

    def application(self, _environ, start_response):
        write = start_response("200 OK", [])
        self.is_inside.set()
        self.may_answer.wait(LONG)
        write(b"piece")
        self.has_given.set()
        self.gate.wait(LONG)
        return []

    def give(self) -> None:
        self.may_answer.set()
        assert self.has_given.wait(LONG)


class Beside:
    """A crew whose calls are what the test says."""

    def __init__(self, *calls: Call) -> None:
        self.calls = list(calls)
        self.ended: list[Call] = []
        self.hung = 3

    def running(self) -> list[Call]:
        return self.calls

    def abandon(self, call: Call) -> bool:
        return call not in self.ended


def reported(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return what was said of calls that hang."""
    event_log.settle()
    found = [vars(each) for each in caplog.records]
    return [each for each in found if each.get("event") == "hung_request"]


def test_a_call_past_its_time_is_reported_and_answered_and_no_other_is(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with ExitStack() as stack:
        given_up, ended, due = (Meeting(stack) for _ in range(3))
        for each in (given_up, ended, due):
            each.may_answer.clear()
        calls = [each.begin() for each in (given_up, ended, due)]
        clock.now += 0.5
        young = Meeting(stack)
        young.may_answer.clear()
        other = cast("Any", object())
        crew = Beside(
            Call(threading.get_ident(), other, BEGAN),
            calls[0]._replace(is_abandoned=True),
            young.begin(),
            calls[1],
            calls[2],
        )
        crew.ended.append(calls[1])
        cells = private()
        hung = HungCalls(cast("Crew", crew), TIMEOUT, Counters(cells))
        clock.now = BEGAN + TIMEOUT
        hung.time_out(due.service)
        (event,) = reported(caplog)
        assert due.received().startswith(b"HTTP/1.1 504 ")
        assert all(each.connection.is_called for each in (given_up, ended, young))
        assert (hung.count(), cells[HUNG_REQUESTS]) == (3, 1)
        for each in (given_up, ended, due, young):
            each.may_answer.set()
            each.thread.join(LONG)
    assert event["message"] == "GET /at has taken 10.0 s, more than --timeout 10 s"
    assert event["levelno"] == logging.ERROR
    assert (event["request_id"], event["method"], event["path"]) == ("f00d", "GET", "/at")
    assert (event["peer"], event["age_s"]) == ("192.0.2.1", TIMEOUT)
    assert "in application\n" in event["stack"]


def test_time_counts_from_the_last_sign_of_progress(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with ExitStack() as stack:
        meeting = Streams(stack)
        crew = Beside(meeting.begin())
        hung = HungCalls(cast("Crew", crew), TIMEOUT)
        clock.now += 5
        meeting.give()
        clock.now = BEGAN + TIMEOUT + 4.9996
        hung.time_out(meeting.service)
        assert reported(caplog) == []
        clock.now = BEGAN + TIMEOUT + 5.0004
        hung.time_out(meeting.service)
        (event,) = reported(caplog)
        assert meeting.received().endswith(b"\r\n\r\n5\r\npiece\r\n")
    assert "GET /at has made no progress for 10.0 s" in event["message"]
    assert event["age_s"] == 10


# --- the only thread -------------------------------------------------------------------------------


def test_the_only_thread_is_given_up_once_it_has_made_no_progress_for_that_long(
    clock: Clock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    progressed: list[float] = []
    with ExitStack() as stack:
        meeting = Streams(stack)
        for _ in range(8):
            here, there = socket.socketpair()
            stack.enter_context(there)
            here.setblocking(False)
            Connection(here, {}, meeting.service)  # waits for its first request

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == 1:
                clock.now += 4
                meeting.give()
            clock.now = BEGAN + sum(slept)

        monkeypatch.setattr("time.sleep", sleep)
        meeting.begin()
        hung = HungCalls(meeting.service.crew, TIMEOUT)
        hung.wait_for_only_thread(meeting.service, lambda: progressed.append(clock.now))
        (event,) = reported(caplog)
        assert meeting.received().endswith(b"piece\r\n")
    assert slept == [TIMEOUT, 4]
    assert progressed == [BEGAN + TIMEOUT]
    assert event["message"].startswith("GET /at has made no progress for 10.0 s, ")
    assert event["age_s"] == TIMEOUT
    assert "wait_for_only_thread" in event["stack"], "this is the main thread"


def test_of_the_only_thread_the_end_of_a_send_is_waited_for(
    meeting: Meeting, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slept: list[float] = []
    is_over = threading.Event()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        assert len(slept) < 10
        meeting.gate.set()
        is_over.wait(LONG)

    def watch() -> None:
        assert meeting.socket.sending.wait(LONG)
        hung = HungCalls(meeting.service.crew, 0.0)
        hung.wait_for_only_thread(meeting.service, lambda: None)

    meeting.socket.held_before = meeting.gate
    monkeypatch.setattr("time.sleep", sleep)
    watcher = threading.Thread(target=watch)
    watcher.start()
    meeting.connection.begin()
    meeting.connection.call()
    is_over.set()
    watcher.join(LONG)
    assert slept == [MOMENT]
    assert "GET /at has taken 0.0 s" in reported(caplog)[0]["message"]
    assert meeting.connection not in meeting.service.connections
    assert meeting.received().startswith(b"HTTP/1.1 504 ")
