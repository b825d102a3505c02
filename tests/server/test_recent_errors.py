"""The last errors, as they are kept."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from bascule.told.recent_errors import KEPT, MESSAGE_SIZE, RecentErrors


@pytest.fixture
def errors() -> Iterator[RecentErrors]:
    """Keep what a logger logs."""
    handler = RecentErrors()
    logger = logging.getLogger("tests.recent_errors")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


LOGGER = logging.getLogger("tests.recent_errors")


def test_an_error_is_kept_with_what_names_it(errors: RecentErrors) -> None:
    LOGGER.error("%d broken", 3, extra={"event": "breakage", "request_id": "f00d"})
    (error,) = errors.records
    assert error.pop("time").endswith("Z")
    assert error == {
        "level": "error",
        "event": "breakage",
        "message": "3 broken",
        "request_id": "f00d",
    }


def test_a_record_that_names_nothing_is_a_record_of_the_log(errors: RecentErrors) -> None:
    LOGGER.critical("no")
    (error,) = errors.records
    assert (error["event"], error["request_id"], error["level"]) == ("log", "", "critical")


def test_a_warning_is_no_error(errors: RecentErrors) -> None:
    LOGGER.warning("careful")
    assert errors.records == ()


def test_the_last_ones_are_kept_newest_last(errors: RecentErrors) -> None:
    for number in range(KEPT + 5):
        LOGGER.error("error %d", number)
    expected = [f"error {number}" for number in range(5, KEPT + 5)]
    assert [error["message"] for error in errors.records] == expected


def test_a_long_message_is_cut(errors: RecentErrors) -> None:
    LOGGER.error("x" * (MESSAGE_SIZE + 1))
    assert len(errors.records[0]["message"]) == MESSAGE_SIZE


def test_a_message_that_does_not_format_is_kept_as_it_is(errors: RecentErrors) -> None:
    record = logging.makeLogRecord(
        {"msg": "%d", "args": ("no number",), "levelno": logging.ERROR, "levelname": "ERROR"}
    )
    errors.handle(record)
    assert errors.records[0]["message"] == "%d"


def test_what_was_raised_is_part_of_the_message(errors: RecentErrors) -> None:
    class UnspeakableError(Exception):
        def __str__(self) -> str:
            raise ValueError("no words")

    for error in (
        KeyError("total"),
        UnspeakableError(),
        SyntaxError("wrong", ("f.py", 1, 2, "a b")),
    ):
        try:
            raise error
        except Exception:
            LOGGER.exception("GET /basket")
    LOGGER.error("without", exc_info=True)
    messages = [error["message"] for error in errors.records]
    assert messages[0] == "GET /basket: KeyError: 'total'"
    assert messages[1].startswith("GET /basket: ")
    assert "UnspeakableError" in messages[1]
    assert messages[2:] == ["GET /basket: SyntaxError: wrong", "without"]


def test_of_the_server_s_own_records_errors_are_kept_and_nothing_less() -> None:
    errors = RecentErrors()
    for level in (logging.WARNING, logging.ERROR, logging.CRITICAL):
        errors.note(logging.makeLogRecord({"msg": str(level), "levelno": level}))
    kept = [error["message"] for error in errors.records]
    assert kept == [str(logging.ERROR), str(logging.CRITICAL)]
