"""The server's events and the application's log records, as JSON and as text."""

from __future__ import annotations

import io
import json
import linecache
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bascule import guard
from bascule.told import event_log
from bascule.told.event_log import (
    QUEUED,
    ErrorStream,
    JsonFormatter,
    TextFormatter,
    event,
    timestamp,
)
from bascule.watch.stacks import stacks
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.waiting import wait_until

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """Give the root logger back as it was, once nobody is told of the test any more."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    event_log.settle()
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


def test_in_text_the_request_is_named(text: io.StringIO) -> None:
    event(logging.ERROR, "broken", "It broke", request_id="f00d")
    assert text.getvalue().endswith("It broke request_id=f00d\n")


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


def test_write_says_how_many_characters_it_took(errors: ErrorStream) -> None:
    assert errors.write("one\ntwo") == len("one\ntwo")


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
            **{"levelno": logging.ERROR, "pathname": __file__, "created": 784111777.5},
        }
    )
    assert logging.getLogger().handlers[0].handle(record)
    found = only(lines)
    assert found["time"] == "1994-11-06T08:49:37.500Z"
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
        logger.debug("it is %s", "told", extra={"event": "testing"})
        logger.log(logging.DEBUG - 1, "too little")
        ErrorStream().write("and so is this\n")
        event(logging.INFO, "listening", "And this")
    finally:
        logging.disable(logging.NOTSET)
    found = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [each["message"] for each in found] == ["it is told", "and so is this", "And this"]
    assert [each["event"] for each in found] == ["testing", "log", "listening"]


def test_loggers_of_the_chain_that_are_there_already_are_kept(root: logging.Logger) -> None:
    logger = logging.getLogger("bascule.there_already")
    logger.propagate = False
    stream = io.StringIO()
    event_log.configure("json", "info", "", stream)
    logger.info("it is told")
    assert only(stream)["message"] == "it is told"


def test_what_others_say_can_be_led_elsewhere(lines: io.StringIO) -> None:
    others = io.StringIO()
    event_log.lead_others(others)
    logging.getLogger("shop").error("of the application")
    ErrorStream().write("of wsgi.errors\n")
    event(logging.INFO, "listening", "of the server")
    assert only(lines)["message"] == "of the server"
    messages = [json.loads(line)["message"] for line in others.getvalue().splitlines()]
    assert messages == ["of the application", "of wsgi.errors"]


def test_a_traceback_is_shown_whatever_the_application_has_open_do(
    lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Source is read by what tokenize finds as `open` when it is imported."""

    def fail(*_arguments: object, **_keywords: object) -> None:
        raise RuntimeError

    try:
        failing()
    except ValueError as error:
        linecache.clearcache()
        with monkeypatch.context() as patch:
            patch.setattr("tokenize.open", fail)
            event(logging.ERROR, "broken", "It broke", error)
    first, *frames, last, rest = only(lines)["exception"].splitlines()
    line = failing.__code__.co_firstlineno + 1
    assert first == "Traceback (most recent call last):"
    assert frames[-1] == f'  File "{__file__}", line {line}, in failing'
    assert (last, rest) == ('ValueError: a "quoted"', "and broken reason")


# --- handlers of the application's, and whoever else is told -----------------------------------------


class Gate:
    """What a thread waits at, from when it is there until it may go on."""

    def __init__(self) -> None:
        self.inside, self.go_on = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.inside.set()
        self.go_on.wait()


class Sees(logging.Handler):
    """A handler that notes what it is given, on which thread.

    Args:
        does: what it does besides.
    """

    def __init__(self, does: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.threads: list[threading.Thread] = []
        self._does = does

    @property
    def messages(self) -> list[str]:
        return [each.getMessage() for each in self.records]

    def handle(self, record: logging.LogRecord) -> bool:
        self._does()
        self.threads.append(threading.current_thread())
        self.records.append(record)
        return True


def test_others_hear_of_an_event_once_it_is_written(lines: io.StringIO) -> None:
    written: list[int] = []
    handler = Sees(lambda: written.append(lines.getvalue().count("\n")))
    logging.getLogger().addHandler(handler)
    event(logging.INFO, "listening", "Serving there")
    event_log.settle()
    assert (handler.messages, written) == (["Serving there"], [1])
    assert handler.threads != [threading.current_thread()]
    assert not logging.getLogger().handlers[0].handle(handler.records[0])
    assert lines.getvalue().count("\n") == 1


def test_at_the_end_others_are_waited_for(lines: io.StringIO) -> None:
    me = threading.get_ident()

    def see_this_thread_wait() -> None:
        wait_until(
            lambda: any(each.endswith(" settle") for each in stacks([me])[me].frames),
            "the test waits",
        )

    handler = Sees(see_this_thread_wait)
    logging.getLogger().addHandler(handler)
    event(logging.INFO, "stopping", "It ends")
    event_log.settle()
    assert handler.messages == ["It ends"]


def test_for_others_that_wait_events_are_kept_up_to_a_limit(lines: io.StringIO) -> None:
    gate = Gate()
    handler = Sees(gate)
    logging.getLogger().addHandler(handler)
    event(logging.INFO, "x", "0")
    gate.inside.wait()
    for number in range(1, QUEUED + 3):
        event(logging.INFO, "x", str(number))
    gate.go_on.set()
    event_log.settle()
    assert handler.messages == [str(number) for number in range(QUEUED + 1)]
    assert lines.getvalue().count("\n") == QUEUED + 3


def test_where_the_server_s_logger_keeps_to_itself_others_hear_nothing(lines: io.StringIO) -> None:
    handler, logger = Sees(), logging.getLogger("bascule.server")
    logging.getLogger().addHandler(handler)
    logger.propagate = False
    try:
        event(logging.INFO, "listening", "Serving there")
        event_log.settle()
    finally:
        logger.propagate = True
    assert handler.messages == []


def test_whoever_fails_costs_no_line_and_is_noted(lines: io.StringIO) -> None:
    def fail(*_arguments: object) -> None:
        raise ValueError

    event_log.add_listener(fail)
    event_log.add_filter(fail)
    logging.getLogger().addHandler(Sees(fail))
    before = guard.total()
    try:
        event(logging.INFO, "listening", "Serving there")
        event_log.settle()
        assert guard.total() == before + 3
        event(logging.INFO, "listening", "Not told", **{"event": "twice"})
        assert guard.total() == before + 4
    finally:
        event_log.add_listener(lambda _record: None)
        event_log.configure("json", "debug", "", io.StringIO())  # without the filter
    assert only(lines)["message"] == "Serving there"


def test_a_log_that_takes_nothing_costs_no_more_than_lines(root: logging.Logger) -> None:
    class Full:
        def write(self, _text: str) -> None:
            raise OSError

    event_log.configure("json", "info", "", Full())
    before = guard.total()
    event(logging.INFO, "listening", "Serving there")
    logging.getLogger("shop").error("x")
    assert guard.total() == before + 2


def test_a_filter_sees_a_record_before_it_is_written_and_a_listener_after(
    lines: io.StringIO,
) -> None:
    seen: list[tuple[str, int]] = []

    def name(record: logging.LogRecord) -> None:
        record.request_id = "f00d"
        seen.append(("filter", lines.getvalue().count("\n")))

    event_log.add_filter(name)
    event_log.add_listener(lambda _: seen.append(("listener", lines.getvalue().count("\n"))))
    try:
        event(logging.INFO, "listening", "Serving there")
    finally:
        event_log.add_listener(lambda _record: None)
        event_log.configure("json", "debug", "", io.StringIO())  # without the filter
    assert only(lines)["request_id"] == "f00d"
    assert seen == [("filter", 0), ("listener", 1)]


def test_in_a_forked_process_others_hear_of_its_events_alone(lines: io.StringIO) -> None:
    gate = Gate()
    handler = Sees(gate)
    logging.getLogger().addHandler(handler)
    event(logging.INFO, "x", "of the parent")
    gate.inside.wait()
    event(logging.INFO, "x", "of the parent, and waits")
    child = os.fork()
    if not child:
        gate.go_on.set()
        event(logging.INFO, "x", "of the child")
        event_log.settle()
        os._exit(7 if handler.messages == ["of the child"] else 1)
    gate.go_on.set()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    event_log.settle()
    assert handler.messages == ["of the parent", "of the parent, and waits"]


ALONE = """
import io
import logging
import threading
from bascule import guard
from bascule.told import event_log

seen = []
class Sees(logging.Handler):
    def emit(self, record):
        seen.append((record.getMessage(), threading.current_thread().name))

def threads():
    return sorted(each.name for each in threading.enumerate())

handler = Sees()
logging.getLogger().addHandler(handler)
logging.getLogger().setLevel("INFO")
event_log.event(logging.INFO, "x", "of a library")
print(seen, threads())

stream = io.StringIO()
event_log.configure("json", "info", "", stream)
event_log.event(logging.INFO, "x", "heard by nobody")
print(threads())

logging.getLogger().addHandler(handler)
start = threading.Thread.start
def fail(thread):
    raise RuntimeError("can't start new thread")
threading.Thread.start = fail
event_log.event(logging.INFO, "x", "lost to others")
threading.Thread.start = start
event_log.event(logging.INFO, "x", "heard")
event_log.settle()
print(seen[1:], threads(), [each["place"] for each in guard.failures()])
print([each.name for each in threading.enumerate() if each.daemon])
print(stream.getvalue().count("\\n"))
"""


def test_a_process_has_a_thread_for_others_once_there_is_somebody_to_tell() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALONE],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == [
        "[('of a library', 'MainThread')] ['MainThread']",
        "['MainThread']",
        "[('heard', 'events')] ['MainThread', 'events'] ['log_handler']",
        "['events']",
        "3",
    ]
