"""The link `exceptions`."""

from __future__ import annotations

import json
import logging
import traceback
from typing import Any
from wsgiref.validate import validator

import pytest
from bascule_middleware.links.exceptions import Exceptions

from tests.middleware import hostile
from tests.middleware.gateway import Gateway, respond

in_time = pytest.mark.parametrize("application", hostile.RAISING_IN_TIME)
too_late = pytest.mark.parametrize("application", hostile.RAISING_TOO_LATE)


@in_time
def test_an_exception_becomes_a_500_without_internals(application: Any) -> None:
    response = respond(validator(Exceptions(validator(application))))
    assert response.status == "500 Internal Server Error"
    assert response.body == b"Internal Server Error\n"
    # Nothing of the response that was begun stays: no cookie, no length.
    assert response.fields == [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(response.body))),
    ]


@in_time
def test_the_traceback_is_logged_once_with_the_request(
    application: Any, caplog: pytest.LogCaptureFixture
) -> None:
    respond(
        Exceptions(application),
        REQUEST_METHOD="PUT",
        SCRIPT_NAME="/shop",
        PATH_INFO="/小明\n".encode().decode("latin-1"),
        **{"bascule.request_id": "the-id"},
    )
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("bascule.exceptions", logging.ERROR)
    extra = vars(record)
    assert extra["event"] == "exception"
    assert (extra["request_id"], extra["method"]) == ("the-id", "PUT")
    assert extra["path"] == "/shop/小明\n"
    assert record.getMessage() == "PUT '/shop/小明\\n': the application raised"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


def test_a_path_that_the_application_has_decoded_in_place_is_logged_whole(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Bottle and Django do so: PATH_INFO then holds letters that no byte stands for."""

    def application(environ: Any, start_response: Any) -> Any:
        environ["PATH_INFO"] = "/小明"
        raise ValueError

    script_name = "/größe".encode().decode("latin-1")
    respond(Exceptions(application), SCRIPT_NAME=script_name)
    assert vars(caplog.records[0])["path"] == "/größe/小明"


@too_late
def test_an_exception_after_the_head_is_logged_and_goes_on_to_the_server(
    application: Any, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = Gateway(validator(Exceptions(validator(application))))
    with pytest.raises(ValueError, match="<secret>"):
        gateway.run()
    assert (gateway.status, gateway.body) == ("200 OK", b"begun")
    (record,) = caplog.records
    assert record.getMessage() == "GET '/': the application raised after the response had begun"
    assert record.exc_info is not None
    frames = [frame.name for frame in traceback.extract_tb(record.exc_info[2])]
    assert frames[-1] == application.__name__
    assert "start_response" not in frames  # the way there, not the detour by the server


def test_a_client_that_goes_during_write_is_no_failure_of_the_application(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gateway = Gateway(hostile.greets)

    def start_response(status: str, fields: Any, exc_info: Any = None) -> Any:
        if exc_info:
            raise exc_info[1]

        def write(block: bytes) -> None:
            raise BrokenPipeError

        return write

    with pytest.raises(BrokenPipeError):
        Exceptions(hostile.writes)(gateway.environ, start_response)
    assert not caplog.records


@pytest.mark.parametrize(
    ("fails_in", "status"),
    [("iter", "500 Internal Server Error"), ("close", "200 OK"), ("", "200 OK")],
)
@pytest.mark.parametrize("sized", [False, True])
def test_a_failing_response_is_closed_once(fails_in: str, status: str, sized: bool) -> None:
    response = hostile.Closing(fails_in=fails_in, sized=sized)
    assert respond(Exceptions(response)).status == status
    assert response.closings == 1


def test_a_response_that_fails_midway_is_closed_once() -> None:
    response = hostile.Closing(fails_in="next")
    with pytest.raises(ValueError, match="<secret>"):
        respond(Exceptions(response))
    assert response.closings == 1


def test_a_failing_close_is_logged_and_the_complete_response_stands(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert respond(Exceptions(hostile.Closing(fails_in="close"))).body == b"onetwo"
    (record,) = caplog.records
    assert record.getMessage() == "GET '/': close() raised"


def test_a_result_that_is_not_iterable_is_a_500() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> None:
        start_response("200 OK", list(hostile.TEXT))

    assert respond(Exceptions(application)).status == "500 Internal Server Error"  # type: ignore[arg-type]


def test_an_interrupt_passes_unlogged(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(KeyboardInterrupt):
        respond(Exceptions(hostile.is_interrupted))
    assert not caplog.records


def test_a_head_request_gets_the_fields_of_the_500_and_no_body() -> None:
    response = respond(validator(Exceptions(hostile.raises_at_once)), REQUEST_METHOD="HEAD")
    assert (response.field("Content-Length"), response.body) == ("22", b"")


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; charset=utf-8"),
        ("*/*", "text/plain; charset=utf-8"),
        ("image/png", "text/plain; charset=utf-8"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
        ("application/json", "application/json"),
        ("text/html;q=0.5, application/json;q=0.9", "application/json"),
        ("text/html;q=0, */*;q=0.1", "text/plain; charset=utf-8"),
        ("text/html;q=high", "text/plain; charset=utf-8"),
        ("text/html;q=nan", "text/plain; charset=utf-8"),
        ("TEXT/HTML ; Q=1", "text/html; charset=utf-8"),
    ],
)
def test_the_500_has_the_form_that_the_client_prefers(accept: str, content_type: str) -> None:
    response = respond(
        validator(Exceptions(hostile.raises_at_once)),
        HTTP_ACCEPT=accept,
        **{"bascule.request_id": "the-id"},
    )
    assert response.field("Content-Type") == content_type
    assert b"the-id" in response.body
    assert b"secret" not in response.body
    if content_type == "application/json":
        assert json.loads(response.body) == {
            "error": "Internal Server Error",
            "request_id": "the-id",
        }


@pytest.mark.parametrize("accept", ["text/plain", "application/json"])
def test_debugging_shows_the_traceback(accept: str) -> None:
    link = Exceptions(hostile.raises_at_once, debug=True)
    body = respond(validator(link), HTTP_ACCEPT=accept).body
    assert b"raises_at_once" in body
    assert b"ValueError: <secret>" in body


def test_debugging_escapes_the_traceback_in_a_page() -> None:
    link = Exceptions(hostile.raises_at_once, debug=True)
    body = respond(validator(link), HTTP_ACCEPT="text/html").body
    assert b"ValueError: &lt;secret&gt;" in body
    assert b"<secret>" not in body


def test_an_exception_that_no_encoding_can_write_is_still_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Not into pytest's own report, which no encoding can write either.
    monkeypatch.setattr(logging.getLogger("bascule.exceptions"), "propagate", False)

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise ValueError("\ud800")

    body = respond(Exceptions(application, debug=True), HTTP_ACCEPT="text/html").body
    assert b"\\ud800" in body
