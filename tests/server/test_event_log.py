"""The server's events and the application's log records, as JSON and as text."""

from __future__ import annotations

import io
import json
import logging
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from bascule.told import event_log
from bascule.told.event_log import ErrorStream, JsonFormatter, TextFormatter, event, timestamp
from hypothesis import given
from hypothesis import strategies as st

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """Give the root logger back as it was."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.fixture
def lines(root: logging.Logger) -> io.StringIO:
    """Collect what is logged as JSON."""
    stream = io.StringIO()
    event_log.configure("json", "debug", "3", stream)
    return stream


@pytest.fixture
def text(root: logging.Logger) -> io.StringIO:
    """Collect what is logged as text."""
    stream = io.StringIO()
    event_log.configure("combined", "debug", "", stream)
    return stream


def only(stream: io.StringIO) -> dict[str, Any]:
    (line,) = stream.getvalue().splitlines()
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


def failing() -> None:
    raise ValueError('a "quoted"\nand broken reason')


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (784111777.5, "1994-11-06T08:49:37.500Z"),
        (784111777.9999, "1994-11-06T08:49:37.999Z"),
    ],
)
def test_a_timestamp_is_utc_to_the_millisecond(seconds: float, expected: str) -> None:
    assert timestamp(seconds) == expected


def test_an_event_is_one_json_object_a_line(lines: io.StringIO) -> None:
    event(logging.INFO, "listening", "Serving there", pid=7)
    found = only(lines)
    assert re.fullmatch(TIME, found.pop("time"))
    assert found == {
        "level": "info",
        "event": "listening",
        "logger": "bascule.server",
        "worker": "3",
        "message": "Serving there",
        "pid": 7,
    }


def test_an_event_s_error_is_one_string(lines: io.StringIO) -> None:
    try:
        failing()
    except ValueError as error:
        event(logging.ERROR, "broken", "It broke", error)
    found = only(lines)
    assert found["exception"].startswith("Traceback (most recent call last):")
    assert 'ValueError: a "quoted"\nand broken reason' in found["exception"]


def test_a_record_of_the_application_has_the_same_form(lines: io.StringIO) -> None:
    logging.getLogger("shop.cart").warning("%d left", 3, extra={"request_id": "abc", "item": "b"})
    found = only(lines)
    assert found["level"] == "warning"
    assert found["event"] == "log"
    assert found["logger"] == "shop.cart"
    assert found["message"] == "3 left"
    assert (found["request_id"], found["item"]) == ("abc", "b")


def test_a_record_may_name_its_event(lines: io.StringIO) -> None:
    logging.getLogger("bascule.exceptions").error("no", extra={"event": "unhandled"})
    assert only(lines)["event"] == "unhandled"


def test_a_traceback_of_the_application_is_one_string(lines: io.StringIO) -> None:
    try:
        failing()
    except ValueError:
        logging.getLogger("shop").exception("failed")
    assert "ValueError" in only(lines)["exception"]


def test_a_line_break_in_a_message_begins_no_line(lines: io.StringIO) -> None:
    logging.getLogger("shop").error('one\ntwo\r\n{"level": "forged"}')
    assert only(lines)["message"] == 'one\ntwo\r\n{"level": "forged"}'


def test_what_json_does_not_know_is_shown_as_text(lines: io.StringIO) -> None:
    logging.getLogger("shop").error("x", extra={"value": {1}, "other": b"b"})
    found = only(lines)
    assert (found["value"], found["other"]) == ("{1}", "b'b'")


def test_a_worker_without_a_name_is_not_mentioned(root: logging.Logger) -> None:
    stream = io.StringIO()
    event_log.configure("json", "info", "", stream)
    event(logging.INFO, "x", "y")
    assert "worker" not in only(stream)


def test_text_is_a_line_for_a_person(text: io.StringIO) -> None:
    event(logging.INFO, "listening", "Serving there", pid=7)
    assert re.fullmatch(rf"{TIME} info\s+Serving there\n", text.getvalue())


def test_text_says_the_worker(root: logging.Logger) -> None:
    stream = io.StringIO()
    event_log.configure("combined", "info", "worker-1", stream)
    event(logging.WARNING, "x", "Look out")
    assert re.fullmatch(rf"{TIME} warning\s+\[worker-1\] Look out\n", stream.getvalue())


def test_in_text_a_traceback_follows_on_lines_of_its_own(text: io.StringIO) -> None:
    try:
        failing()
    except ValueError as error:
        event(logging.ERROR, "broken", "It broke", error)
    first, second, *_ = text.getvalue().splitlines()
    assert first.endswith("It broke")
    assert second == "Traceback (most recent call last):"


def test_in_text_a_stack_follows_too(text: io.StringIO) -> None:
    event(logging.ERROR, "hung_request", "It hangs", stack="  File x, line 1\n")
    assert "It hangs\n  File x, line 1" in text.getvalue()


@pytest.mark.parametrize(("level", "expected"), [("debug", 3), ("info", 2), ("error", 1)])
def test_less_than_the_level_is_not_logged(root: logging.Logger, level: str, expected: int) -> None:
    stream = io.StringIO()
    event_log.configure("json", level, "", stream)
    for each in (logging.DEBUG, logging.INFO, logging.ERROR):
        event(each, "x", "y")
    assert len(stream.getvalue().splitlines()) == expected


def test_configuring_twice_does_not_log_twice(root: logging.Logger) -> None:
    event_log.configure("json", "info", "", io.StringIO())
    stream = io.StringIO()
    event_log.configure("json", "info", "", stream)
    event(logging.INFO, "x", "y")
    assert len(stream.getvalue().splitlines()) == 1


@given(message=st.text(), worker=st.text(max_size=5), extra=st.text())
def test_a_json_record_is_always_one_line(message: str, worker: str, extra: str) -> None:
    record = logging.makeLogRecord({"msg": message, "name": "x", "detail": extra})
    line = JsonFormatter(worker).format(record)
    assert len(line.splitlines()) == 1
    found = json.loads(line)
    assert (found["message"], found["detail"]) == (message, extra)


def test_a_text_record_keeps_its_arguments() -> None:
    record = logging.makeLogRecord({"msg": "%s %d", "args": ("a", 1), "levelname": "INFO"})
    assert TextFormatter("").format(record).endswith("a 1")


# --- wsgi.errors --------------------------------------------------------------------------------------


@pytest.fixture
def errors(caplog: pytest.LogCaptureFixture) -> ErrorStream:
    caplog.set_level(logging.DEBUG)
    return ErrorStream()


def test_a_line_is_a_record(errors: ErrorStream, caplog: pytest.LogCaptureFixture) -> None:
    errors.write("one\ntwo\n")
    assert caplog.messages == ["one", "two"]
    assert {record.levelno for record in caplog.records} == {logging.ERROR}


def test_a_line_in_parts_is_one_record(
    errors: ErrorStream, caplog: pytest.LogCaptureFixture
) -> None:
    print("one", 2, "three", file=errors)
    assert caplog.messages == ["one 2 three"]


def test_flush_ends_a_line_and_no_more_than_that(
    errors: ErrorStream, caplog: pytest.LogCaptureFixture
) -> None:
    errors.write("part")
    assert caplog.messages == []
    errors.flush()
    errors.flush()
    assert caplog.messages == ["part"]


def test_writelines_writes_each(errors: ErrorStream, caplog: pytest.LogCaptureFixture) -> None:
    errors.writelines(["one\n", "tw", "o\n"])
    assert caplog.messages == ["one", "two"]


def test_half_lines_of_two_threads_do_not_mix(
    errors: ErrorStream, caplog: pytest.LogCaptureFixture
) -> None:
    errors.write("one ")

    def other() -> None:
        errors.write("three ")
        errors.write("four\n")

    thread = threading.Thread(target=other)
    thread.start()
    thread.join(10)
    errors.write("two\n")
    assert caplog.messages == ["three four", "one two"]


def test_a_percent_sign_is_no_format(errors: ErrorStream, caplog: pytest.LogCaptureFixture) -> None:
    errors.write("100 %s %d\n")
    assert caplog.messages == ["100 %s %d"]


# --- whatever an application does --------------------------------------------------------------------


class Evil:
    """What cannot be shown."""

    def __str__(self) -> str:
        raise ValueError("no words")

    __repr__ = __str__


def test_a_record_that_cannot_be_formatted_is_a_line_that_says_so(lines: io.StringIO) -> None:
    record = logging.makeLogRecord(
        {
            **{"name": "shop", "msg": "%d left", "args": ("no number",), "event": "sold"},
            **{"levelno": logging.ERROR, "pathname": __file__},
        }
    )
    logging.getLogger().handlers[0].handle(record)
    found = only(lines)
    assert found["message"].startswith("%d left (TypeError where it was formatted; logged at ")
    assert "test_event_log.py" in found["message"]
    assert (found["level"], found["event"], found["logger"]) == ("error", "sold", "shop")


@pytest.mark.parametrize("details", [{"value": Evil()}, {"value": {Evil(): 1}}])
def test_an_event_with_what_cannot_be_shown_is_told(
    lines: io.StringIO, details: dict[str, Any]
) -> None:
    event(logging.ERROR, "broken", "It broke", **details)
    found = only(lines)
    assert (found["event"], found["level"]) == ("broken", "error")
    assert found["message"].startswith("It broke (")


def test_levels_keep_their_names(lines: io.StringIO) -> None:
    before = logging.getLevelName(logging.ERROR)
    logging.addLevelName(logging.ERROR, "BAD")
    try:
        event(logging.ERROR, "broken", "It broke")
        assert only(lines)["level"] == "error"
    finally:
        logging.addLevelName(logging.ERROR, before)


def test_what_is_kept_is_written_whatever_logging_says(lines: io.StringIO) -> None:
    logger = logging.getLogger("bascule.tested")
    event_log.keep()
    logger.disabled = True
    logger.propagate = False
    logging.disable(logging.CRITICAL)
    try:
        logger.warning("it is %s", "told", extra={"event": "testing"})
        logger.log(logging.DEBUG - 1, "too little")
        ErrorStream().write("and so is this\n")
        event(logging.INFO, "listening", "And this")
    finally:
        logging.disable(logging.NOTSET)
    found = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [each["message"] for each in found] == ["it is told", "and so is this", "And this"]
    assert [each["event"] for each in found] == ["testing", "log", "listening"]


def test_others_hear_of_an_event_once_it_is_written(lines: io.StringIO) -> None:
    seen: list[str] = []

    class Sees(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(f"{record.name} {record.getMessage()} {lines.getvalue().count(chr(10))}")

    handler = Sees()
    logging.getLogger().addHandler(handler)
    event(logging.INFO, "listening", "Serving there")
    event_log.settle()
    assert seen == ["bascule.server Serving there 1"]


def test_a_listener_that_fails_costs_no_line(lines: io.StringIO) -> None:
    def fail(_record: logging.LogRecord) -> None:
        raise ValueError

    event_log.add_listener(fail)
    event_log.add_filter(fail)
    try:
        event(logging.INFO, "listening", "Serving there")
    finally:
        event_log.add_listener(lambda _record: None)
        event_log.add_filter(lambda _record: None)
    assert only(lines)["event"] == "listening"
