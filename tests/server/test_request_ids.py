"""Whose request a thread works for, as whoever logs finds out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack

from bascule.watch.request_ids import RequestIds, request_id

from tests.server.meeting import Meeting


def logged(**details: str) -> logging.LogRecord:
    """Return a record that this thread logs, as a handler has it."""
    record = logging.makeLogRecord(details)
    assert RequestIds().filter(record), "none is dropped"
    return record


class Looks(Meeting):
    """An application that looks in some way, and keeps what it finds."""

    look: Callable[[], object] = staticmethod(request_id)
    found: object = None

    def application(self, environ, start_response):
        self.found = self.look()
        return super().application(environ, start_response)


def found_in_a_call(look: Callable[[Meeting], object]) -> object:
    with ExitStack() as stack:
        meeting = Looks(stack)
        meeting.look = lambda: look(meeting)
        meeting.begin()
        meeting.thread.join()
        return meeting.found


def test_a_call_s_thread_works_for_its_request() -> None:
    assert found_in_a_call(lambda _: request_id()) == "f00d"
    assert found_in_a_call(lambda _: vars(logged())["request_id"]) == "f00d"


def test_a_record_that_names_its_request_keeps_that() -> None:
    assert vars(logged(request_id="mine"))["request_id"] == "mine"
    assert found_in_a_call(lambda _: vars(logged(request_id="mine"))["request_id"]) == "mine"


def test_who_works_for_no_request_has_none() -> None:
    assert request_id() == ""
    assert not hasattr(logged(), "request_id")


def test_a_thread_of_the_application_s_own_has_none() -> None:
    def look(_: Meeting) -> list[str]:
        seen: list[str] = []
        thread = threading.Thread(target=lambda: seen.append(request_id()))
        thread.start()
        thread.join()
        return seen

    assert found_in_a_call(look) == [""]


def test_what_the_loop_does_while_a_call_waits_is_not_the_call_s() -> None:
    def look(meeting: Meeting) -> list[str]:
        seen: list[str] = []
        meeting.loop.call_soon(lambda: seen.append(request_id()))
        meeting.loop.poll(wait=False)
        return seen

    assert found_in_a_call(look) == [""]
