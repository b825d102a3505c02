"""Which errors of a request are shown, and to whom."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from bascule.development.shown import ELSEWHERE, Errors, is_near, stand_in
from bascule.errors import LoadError
from bascule.told import event_log

NEAR = {"REMOTE_ADDR": "127.0.0.1", "SERVER_NAME": "127.0.0.1", "HTTP_HOST": "localhost:8000"}
_log = logging.getLogger("shop")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    made = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(made)


@pytest.mark.parametrize(
    ("changed", "near"),
    [
        ({}, True),
        ({"REMOTE_ADDR": "127.8.0.1"}, True),
        ({"REMOTE_ADDR": "::1"}, True),
        ({"REMOTE_ADDR": "::ffff:127.0.0.1"}, True),
        ({"REMOTE_ADDR": "10.0.0.1"}, False),
        ({"REMOTE_ADDR": ""}, False),
        ({"SERVER_NAME": "::1"}, True),
        ({"SERVER_NAME": "0.0.0.0"}, False),
        ({"SERVER_NAME": "::"}, False),
        ({"SERVER_NAME": "192.0.2.1"}, False),
        ({"HTTP_HOST": "LOCALHOST"}, True),
        ({"HTTP_HOST": "shop.localhost:8000"}, True),
        ({"HTTP_HOST": "127.0.0.1"}, True),
        ({"HTTP_HOST": "[::1]:8000"}, True),
        ({"HTTP_HOST": "evil.example"}, False),
        ({"HTTP_HOST": "evillocalhost"}, False),
        ({"HTTP_HOST": "127.0.0.example"}, False),
        ({"HTTP_HOST": "localhost.evil.example"}, False),
        ({"HTTP_HOST": "[2001:db8::1]"}, False),
        ({"HTTP_FORWARDED": "for=_"}, False),
        ({"HTTP_X_FORWARDED_FOR": ""}, False),
        ({"HTTP_X_REAL_IP": "10.0.0.1"}, False),
    ],
)
def test_who_learns_what_is_wrong(changed: dict[str, str], near: bool) -> None:
    environ = NEAR | changed
    assert is_near(environ) is near
    (body,) = stand_in(LoadError("é is wrong"))(environ, lambda *_: print)
    assert body.decode() == ("é is wrong\n" if near else ELSEWHERE.decode())


class Asked:
    """One request, as a server has it answered (PEP 3333)."""

    def __init__(
        self, application: Callable[..., Iterable[bytes]], environ: dict[str, Any] | None = None
    ) -> None:
        self.status = ""
        self.fields: dict[str, str] = {}
        self.is_sent = False
        self.body = b""
        iterable = Errors(application)({**NEAR, **(environ or {})}, self._start)
        try:
            for block in iterable:
                self.is_sent = True
                self.body += block
        finally:
            if close := getattr(iterable, "close", None):
                close()

    def _start(self, status: str, fields: list[tuple[str, str]], exc_info: Any = None) -> Any:
        if exc_info and self.is_sent:
            raise exc_info[1]
        assert exc_info or not self.status
        self.status, self.fields = status, dict(fields)
        return self.write

    def write(self, data: bytes) -> None:
        self.is_sent = True
        self.body += data


def raises(environ: Any, start_response: Any) -> list[bytes]:
    raise ValueError("bad")


def raises_late(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [])
    raise ValueError("bad")
    yield b""


def exits(environ: Any, start_response: Any) -> list[bytes]:
    raise SystemExit("bad")


def answering(
    kind: str = "text/html", body: bytes = b"Sorry", *, logger: logging.Logger = _log
) -> Callable[..., Iterable[bytes]]:
    """An application that logs what it has caught, and answers 500 itself."""

    def application(environ: Any, start_response: Any) -> list[bytes]:
        try:
            raise ValueError("bad")
        except ValueError:
            logger.exception("caught")
        start_response("500 Internal Server Error", [("Content-Type", kind)])
        return [body]

    return application


def writes_to_errors(environ: Any, start_response: Any) -> list[bytes]:
    try:
        raise ValueError("bad")
    except ValueError:
        event_log.ErrorStream().write("It failed\n")
    start_response("500 Internal Server Error", [])
    return [b"Sorry"]


def answers_late(environ: Any, start_response: Any) -> Iterator[bytes]:
    yield from answering()(environ, start_response)


@pytest.mark.parametrize(
    "application",
    [
        raises,
        raises_late,
        exits,
        answering(),
        answers_late,
        writes_to_errors,
        answering(logger=event_log.OwnLogger("bascule.exceptions")),
    ],
)
def test_what_it_raises_or_has_logged_is_shown(
    application: Callable[..., Iterable[bytes]],
) -> None:
    event_log.configure("combined", "info", "", _Nowhere())
    found = Asked(application)
    assert found.status == "500 Internal Server Error"
    assert found.body.endswith(b": bad\n")
    assert b'raise ValueError("bad")' in found.body or b"SystemExit" in found.body


class _Nowhere:
    def write(self, text: str) -> None:
        pass


@pytest.mark.parametrize(
    ("application", "body"),
    [
        (answering("application/json", b"{}"), b"{}"),
        (answering(body=b"Traceback of the framework's"), b"Traceback of the framework's"),
    ],
)
def test_an_answer_of_its_own_that_says_enough_stays(
    application: Callable[..., Iterable[bytes]], body: bytes
) -> None:
    assert Asked(application).body == body


def test_a_500_for_which_nothing_was_logged_stays_also_after_one_that_was() -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("500 Internal Server Error", [])
        return [b"plain"]

    def recovers(environ: Any, start_response: Any) -> list[bytes]:
        answering()(environ, lambda *_: None)
        start_response("200 OK", [])
        return [b"fine"]

    assert Asked(recovers).body == b"fine"
    assert Asked(application).body == b"plain"


def test_from_elsewhere_the_application_is_all_there_is() -> None:
    with pytest.raises(ValueError, match="bad"):
        Asked(raises, {"REMOTE_ADDR": "10.0.0.1"})
    assert Asked(answering(), {"REMOTE_ADDR": "10.0.0.1"}).body == b"Sorry"


def test_a_stream_that_breaks_off_is_for_the_server_to_cut_short() -> None:
    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"begun"
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        Asked(application)


def test_what_it_returned_is_closed_once() -> None:
    closed = []

    class Body:
        def __init__(self, status: str, start_response: Any) -> None:
            start_response(status, [])

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"one", b"two"])

        def close(self) -> None:
            closed.append(self)

    for status in ("200 OK", "500 Internal Server Error"):
        closed.clear()
        assert Asked(lambda _, start, status=status: Body(status, start)).body == b"onetwo"
        assert len(closed) == 1


def test_the_log_has_it_in_the_same_words(caplog: pytest.LogCaptureFixture) -> None:
    Asked(answering())
    (record,) = caplog.records
    assert record.exc_text is not None
    assert record.exc_text.endswith("ValueError: bad")
