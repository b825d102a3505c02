"""The gateway: PEP 3333's rules for start_response, write, iteration and close."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bascule.errors import ApplicationError, ClientDisconnected
from bascule.http.request import Request
from bascule.told import event_log
from bascule.wsgi.file_wrapper import FileWrapper
from bascule.wsgi.gateway import GATHER_SIZE, Ending, Exchange

from tests.rfc9112.strict_reader import Response, read_response
from tests.server.transports import FakeTransport

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
TEXT = ("Content-Type", "text/plain")


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


def settled(logged: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Return it once it has heard of everything; where logging is set up, that takes a thread."""
    event_log.settle()
    return logged


class Body:
    """An iterable that counts its closes.

    Args:
        chunks: what it yields; an exception among them is raised.
        error: what ``close`` raises.
    """

    def __init__(self, *chunks: bytes | BaseException, error: Exception | None = None) -> None:
        self._chunks = chunks
        self._error = error
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            if isinstance(chunk, BaseException):
                raise chunk
            yield chunk

    def close(self) -> None:
        self.closed += 1
        if self._error:
            raise self._error


class BodyList(list[bytes]):
    """A list that counts its closes."""

    closed = 0

    def close(self) -> None:
        self.closed += 1


def serve(
    application: Application,
    method: str = "GET",
    minor: int = 1,
    transport: FakeTransport | None = None,
) -> tuple[Exchange, FakeTransport]:
    """Run one exchange to its end."""
    transport = transport or FakeTransport()
    request = Request(method, "/", "/", "", minor)
    exchange = Exchange(request, {"REQUEST_METHOD": method}, transport)
    exchange.run(application)  # type: ignore[arg-type]
    return exchange, transport


def response_of(application: Application, method: str = "GET", minor: int = 1) -> Response:
    """Return the one whole response; the connection has not been cut short."""
    exchange, transport = serve(application, method, minor)
    assert exchange.ending is not Ending.ABORT
    response = read_response(transport.data, method)
    assert response.rest == b""
    assert exchange.status == response.status
    return response


def answering(
    body: Iterable[bytes],
    fields: list[tuple[str, str]] | None = None,
    status: str = "200 OK",
) -> Application:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response(status, [TEXT, *(fields or [])])
        return body

    return application


def writing(
    chunks: list[bytes],
    fields: list[tuple[str, str]] | None = None,
    body: Iterable[bytes] = (),
) -> Application:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        write = start_response("200 OK", [TEXT, *(fields or [])])
        for chunk in chunks:
            write(chunk)
        return body

    return application


# --- framing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [[b"hello"], (b"hello",), [b"he", b"llo"], [b"", b"hello", b""], (b"he", b"llo")],
)
def test_a_list_or_tuple_has_its_length_announced(body: Iterable[bytes]) -> None:
    response = response_of(answering(body))
    assert response.values("content-length") == ["5"]
    assert response.body == b"hello"


def test_a_response_in_a_list_leaves_in_one_piece() -> None:
    _, transport = serve(answering([b"he", b"llo"]))
    assert len(transport.sent) == transport.finished == 1


@pytest.mark.parametrize("body", [[], (), [b""], Body(), Body(b""), Body(b"", b"")])
def test_an_empty_body_has_length_zero(body: Iterable[bytes]) -> None:
    response = response_of(answering(body))
    assert response.values("content-length") == ["0"]
    assert response.values("transfer-encoding") == []


def test_a_body_of_unknown_length_is_chunked() -> None:
    response = response_of(answering(Body(b"he", b"", b"llo")))
    assert response.values("transfer-encoding") == ["chunked"]
    assert response.body == b"hello"


def test_a_body_of_unknown_length_ends_with_the_connection_in_http_1_0() -> None:
    exchange, transport = serve(answering(Body(b"he", b"llo")), minor=0)
    response = read_response(transport.data)
    assert exchange.ending is Ending.CLOSE
    assert response.values("transfer-encoding") == []
    assert response.values("connection") == ["close"]
    assert response.body == b"hello"


def test_a_length_of_the_application_s_own_is_kept() -> None:
    response = response_of(answering(Body(b"he", b"llo"), [("Content-Length", "5")]))
    assert response.values("content-length") == ["5"]
    assert response.values("transfer-encoding") == []
    assert response.body == b"hello"


def test_an_iterable_with_one_element_has_its_length_announced() -> None:
    class One(Body):
        def __len__(self) -> int:
            return 1

    body = One(b"hello")
    response = response_of(answering(body))
    assert response.values("content-length") == ["5"]
    assert body.closed == 1


def test_each_chunk_is_on_its_way_before_the_next_is_asked_for() -> None:
    transport = FakeTransport()
    seen: list[int] = []

    def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [TEXT])
        for chunk in (b"a", b"b", b"c"):
            seen.append(len(transport.sent))
            yield chunk

    serve(application, transport=transport)
    assert seen == [0, 1, 2]


def test_a_response_streams_from_its_first_piece_on_to_its_end() -> None:
    seen: list[bool] = []
    exchange: Exchange

    def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [TEXT])
        for chunk in (b"", b"a", b"b"):
            seen.append(exchange.is_streaming)
            yield chunk
        seen.append(exchange.is_streaming)

    exchange = Exchange(Request("GET", "/", "/", "", 1), {}, FakeTransport())
    assert not exchange.is_streaming
    exchange.run(application)
    assert seen == [False, False, True, True]
    assert not exchange.is_streaming


def test_the_head_waits_for_the_first_chunk_that_is_not_empty() -> None:
    transport = FakeTransport()
    seen: list[bytes] = []

    def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [TEXT])
        yield b""
        seen.append(transport.data)
        start_response("404 Not Found", [TEXT], (None, None, None))
        yield b"gone"

    serve(application, transport=transport)
    assert seen == [b""]
    assert read_response(transport.data).status == 404


@pytest.mark.parametrize(
    ("persist", "minor", "connection", "ending"),
    [
        (True, 1, [], Ending.PERSIST),
        (True, 0, ["keep-alive"], Ending.PERSIST),
        (False, 1, ["close"], Ending.CLOSE),
        (False, 0, ["close"], Ending.CLOSE),
    ],
)
def test_the_connection_field_says_what_becomes_of_the_connection(
    persist: bool, minor: int, connection: list[str], ending: Ending
) -> None:
    transport = FakeTransport(persist=persist)
    exchange, _ = serve(answering([b"a"]), minor=minor, transport=transport)
    assert read_response(transport.data).values("connection") == connection
    assert exchange.ending is ending


# --- responses without a body ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [[b"hello"], (b"he", b"llo"), Body(b"he", b"llo"), Body(b"hello"), Body(), []]
)
@pytest.mark.parametrize("fields", [[], [("Content-Length", "5")]])
@pytest.mark.parametrize("minor", [0, 1])
@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", "200 OK"), ("GET", "204 No Content"), ("GET", "304 x")]
)
def test_no_byte_of_a_body_is_sent_where_there_is_none(  # noqa: PLR0917
    method: str,
    status: str,
    minor: int,
    fields: list[tuple[str, str]],
    body: Iterable[bytes],
    logged: pytest.LogCaptureFixture,
) -> None:
    exchange, transport = serve(answering(body, fields, status), method, minor)
    assert transport.data.endswith(b"\r\n\r\n")
    assert transport.data.count(b"\r\n\r\n") == 1
    assert exchange.status == int(status[:3])
    assert exchange.ending is Ending.PERSIST
    assert b"Transfer-Encoding" not in transport.data
    lengths = read_response(transport.data, method).values("content-length")
    if status[:3] == "204":
        assert lengths == []
    elif fields:
        assert lengths == ["5"]
    elif status[:3] == "304":
        assert lengths == []  # the body of a 304 is not what a 200 would have had
    else:
        assert lengths in ([], ["5"])
    assert not settled(logged).records


def test_head_says_the_length_that_get_would_have_had() -> None:
    assert response_of(answering([b"hello"]), "HEAD").values("content-length") == ["5"]


@pytest.mark.parametrize("body", [Body(), [], [b""]])
def test_head_without_a_body_does_not_claim_that_get_has_none(body: Iterable[bytes]) -> None:
    assert response_of(answering(body), "HEAD").values("content-length") == []


@pytest.mark.parametrize("fields", [[], [("Content-Length", "5")]])
def test_what_is_written_in_answer_to_head_is_not_sent(fields: list[tuple[str, str]]) -> None:
    exchange, transport = serve(writing([b"he", b"llo"], fields), "HEAD")
    assert exchange.ending is Ending.PERSIST
    assert transport.data.endswith(b"\r\n\r\n")


def test_the_iterable_of_a_head_request_is_closed_after_its_first_chunk(
    logged: pytest.LogCaptureFixture,
) -> None:
    body = Body(b"a", ValueError("never asked for"))
    exchange, _ = serve(answering(body), "HEAD")
    assert body.closed == 1
    assert exchange.ending is Ending.PERSIST
    assert not settled(logged).records


# --- wrong lengths ----------------------------------------------------------------------------------


@pytest.mark.parametrize("length", ["4", "6", "0"])
def test_a_list_of_another_length_than_announced_is_answered_with_500(length: str) -> None:
    response = response_of(answering([b"he", b"llo"], [("Content-Length", length)]))
    assert response.status == 500


def test_a_stream_that_is_too_short_is_cut_so_that_the_client_knows() -> None:
    body = Body(b"he")
    exchange, transport = serve(answering(body, [("Content-Length", "5")]))
    assert exchange.ending is Ending.ABORT
    assert transport.data.endswith(b"\r\n\r\nhe")
    assert transport.finished == 0
    assert body.closed == 1


def test_a_stream_without_a_byte_of_what_it_announced_is_answered_with_500() -> None:
    response = response_of(answering(Body(), [("Content-Length", "5")]))
    assert response.status == 500


@pytest.mark.parametrize("chunks", [[b"hello!"], [b"hello", b"!"], [b"he", b"llo! and more", b"x"]])
def test_of_a_stream_that_is_too_long_no_byte_too_many_is_sent(
    chunks: list[bytes], logged: pytest.LogCaptureFixture
) -> None:
    body = Body(*chunks, b"never asked for")
    exchange, transport = serve(answering(body, [("Content-Length", "5")]))
    response = read_response(transport.data)
    assert (response.body, response.rest) == (b"hello", b"")
    assert body.closed == 1
    assert "longer than its Content-Length" in settled(logged).text
    assert exchange.status == 200
    assert exchange.ending is Ending.PERSIST
    assert b"" not in transport.sent


def test_of_a_stream_that_announced_nothing_and_has_something_the_head_is_sent() -> None:
    exchange, transport = serve(answering(Body(b"x"), [("Content-Length", "0")]))
    response = read_response(transport.data)
    assert (response.body, response.rest) == (b"", b"")
    assert exchange.ending is Ending.PERSIST


def test_write_raises_when_it_is_given_more_than_was_announced() -> None:
    raised: list[BaseException] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [("Content-Length", "5")])
        write(b"he")
        try:
            write(b"llo!")
        except ApplicationError as error:
            raised.append(error)
        return []

    exchange, transport = serve(application)
    assert len(raised) == 1
    response = read_response(transport.data)
    assert (response.body, response.rest) == (b"hello", b"")
    assert (transport.finished, exchange.ending) == (1, Ending.PERSIST)


# --- write --------------------------------------------------------------------------------------------


def test_what_is_written_is_on_its_way_before_write_returns() -> None:
    transport = FakeTransport()
    seen: list[bool] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [TEXT])
        for chunk in (b"first", b"second"):
            write(chunk)
            seen.append(chunk in transport.data)
        return [b"third"]

    exchange, _ = serve(application, transport=transport)
    assert seen == [True, True]
    assert read_response(transport.data).body == b"firstsecondthird"
    assert exchange.ending is Ending.PERSIST


def test_what_is_written_counts_towards_the_announced_length() -> None:
    response = response_of(writing([b"he"], [("Content-Length", "5")], [b"llo"]))
    assert response.body == b"hello"


@pytest.mark.parametrize("body", [Body(b"a", b"b"), Body(b"a")])
@pytest.mark.parametrize("fields", [[], [("Content-Length", "1")]])
@pytest.mark.parametrize("kind", ["close", "list"])
def test_nothing_can_be_written_after_the_response_is_complete(
    body: Body, fields: list[tuple[str, str]], kind: str, logged: pytest.LogCaptureFixture
) -> None:
    raised: list[BaseException] = []

    class Late(BodyList if kind == "list" else Body):  # type: ignore[misc]
        def close(self) -> None:
            try:
                write(b"late")
            except ApplicationError as error:
                raised.append(error)

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        nonlocal write
        write = start_response("200 OK", fields)
        return Late([b"x"]) if kind == "list" else Late(b"x")

    def write(data: bytes) -> None:
        raise AssertionError

    exchange, transport = serve(application)
    assert len(raised) == 1
    assert b"late" not in transport.data
    assert read_response(transport.data).body == b"x"
    assert exchange.ending is Ending.PERSIST


def test_nothing_can_be_written_after_an_answer_in_the_application_s_place() -> None:
    writes: list[Callable[[bytes], object]] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        writes.append(start_response("200 OK", [TEXT]))
        raise ValueError

    _, transport = serve(application)
    with pytest.raises(ApplicationError):
        writes[0](b"late")
    assert b"late" not in transport.data


# --- start_response -------------------------------------------------------------------------------------


def test_the_second_call_without_exc_info_is_refused() -> None:
    raised: list[BaseException] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [TEXT])
        try:
            start_response("404 Not Found", [TEXT])
        except ApplicationError as error:
            raised.append(error)
        return [b"first"]

    response = response_of(application)
    assert (response.status, response.body) == (200, b"first")
    assert "twice" in str(raised[0])


def test_exc_info_replaces_a_head_that_has_not_been_sent() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("X-First", "yes"), ("Content-Length", "1000")])
        try:
            raise ValueError
        except ValueError:
            start_response("500 Oops", [TEXT], sys.exc_info())
        return [b"sorry"]

    response = response_of(application)
    assert (response.status, response.reason, response.body) == (500, "Oops", b"sorry")
    assert response.values("x-first") == []


@pytest.mark.parametrize("minor", [0, 1])
@pytest.mark.parametrize("was_raised", [True, False])
def test_exc_info_is_raised_again_once_the_head_has_been_sent(minor: int, was_raised: bool) -> None:
    seen: list[BaseException] = []
    error = ValueError("mine")

    def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [TEXT])
        yield b"some"
        try:
            raise error
        except ValueError:
            exc_info = sys.exc_info() if was_raised else (ValueError, error, None)
            try:
                start_response("500 Oops", [TEXT], exc_info)
            except ValueError as again:
                seen.append(again)
                raise

    exchange, transport = serve(application, minor=minor)
    assert seen == [error]
    assert exchange.ending is Ending.ABORT
    assert b"500" not in transport.data


def test_exc_info_is_allowed_in_the_first_call() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        try:
            raise ValueError
        except ValueError:
            start_response("500 Oops", [TEXT], sys.exc_info())
        return [b"sorry"]

    assert response_of(application).reason == "Oops"


def test_start_response_may_be_called_by_the_first_step_of_the_iteration() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [TEXT])
        yield b"hello"

    assert response_of(application).body == b"hello"


@pytest.mark.parametrize("body", [[b"hello"], Body(b"hello"), [], Body(), None])
def test_a_body_without_start_response_is_answered_with_500(
    body: Iterable[bytes], logged: pytest.LogCaptureFixture
) -> None:
    response = response_of(lambda environ, start_response: body)
    assert response.status == 500
    reason = "not iterable" if body is None else "start_response was not called"
    assert reason in settled(logged).text


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        ("200", []),
        ("200 OK\r\nX: y", []),
        (b"200 OK", []),
        ("200 OK", (TEXT,)),
        ("200 OK", [("Connection", "close")]),
        ("200 OK", [("Transfer-Encoding", "chunked")]),
        ("200 OK", [("Keep-Alive", "timeout=5")]),
        ("200 OK", [("Upgrade", "h2c")]),
        ("200 OK", [("X-A", "b\r\nX-B: c")]),
    ],
)
def test_a_head_that_breaks_a_rule_is_answered_with_500(status: Any, fields: Any) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response(status, fields)
        return [b"hello"]

    response = response_of(application)
    assert response.status == 500
    assert b"X-B" not in response.body


# --- what the application raises --------------------------------------------------------------------


class Unprintable(Exception):  # noqa: N818
    """An exception that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("not even this")


@pytest.mark.parametrize(
    "error",
    [ValueError("secret"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), Unprintable()],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("where", ["call", "first step"])
def test_whatever_is_raised_before_the_head_is_answered_with_500_and_logged(
    error: BaseException, where: str, logged: pytest.LogCaptureFixture
) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if where == "call":
            raise error
        start_response("200 OK", [TEXT])
        return Body(error)

    response = response_of(application)
    assert response.status == 500
    assert response.body == b"500 Internal Server Error\n"
    assert response.values("content-type") == ["text/plain"]
    record = next(each for each in settled(logged).records if each.levelno == logging.ERROR)
    assert record.exc_info
    assert type(error).__name__ in record.getMessage()


def test_an_error_after_the_head_cuts_the_response_short() -> None:
    body = Body(b"some", ValueError("secret"))
    exchange, transport = serve(answering(body))
    assert exchange.ending is Ending.ABORT
    assert exchange.status == 200
    assert not transport.data.endswith(b"0\r\n\r\n")
    assert b"500" not in transport.data
    assert body.closed == 1


def test_an_error_after_write_cuts_the_response_short() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [TEXT])(b"some")
        raise ValueError

    exchange, _ = serve(application)
    assert exchange.ending is Ending.ABORT


def test_an_error_in_answer_to_head_has_no_body() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise ValueError

    response = response_of(application, "HEAD")
    assert response.status == 500
    assert response.rest == b""


@pytest.mark.parametrize("chunk", ["text", bytearray(b"x"), memoryview(b"x"), None, 5, [b"x"]])
@pytest.mark.parametrize("kind", ["list", "stream", "write"])
def test_chunks_that_are_no_bytes_are_refused(chunk: Any, kind: str) -> None:
    applications = {
        "list": answering([chunk]),
        "stream": answering(Body(chunk)),
        "write": writing([chunk]),
    }
    assert response_of(applications[kind]).status == 500


def test_bytes_in_place_of_an_iterable_of_bytes_are_refused() -> None:
    assert response_of(answering(b"hello")).status == 500  # type: ignore[arg-type]


# --- close ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        Body(b"a", b"b"),
        Body(),
        Body(b"a", ValueError()),
        Body(ValueError()),
        Body(b"a", SystemExit()),
        Body(b"a", error=ValueError()),
        Body(ValueError(), error=ValueError()),
    ],
)
@pytest.mark.parametrize("breaks_at", [None, 0, 1, 2])
@pytest.mark.parametrize("minor", [0, 1])
def test_close_is_called_exactly_once_whatever_happens(
    body: Body, breaks_at: int | None, minor: int
) -> None:
    body.closed = 0
    serve(answering(body), minor=minor, transport=FakeTransport(breaks_at=breaks_at))
    assert body.closed == 1


@pytest.mark.parametrize("breaks_at", [None, 0])
def test_a_list_that_can_be_closed_is_closed_once(breaks_at: int | None) -> None:
    body = BodyList([b"a"])
    serve(answering(body), transport=FakeTransport(breaks_at=breaks_at))
    assert body.closed == 1


def test_close_is_called_where_start_response_was_not() -> None:
    body = Body(b"a")
    serve(lambda environ, start_response: body)
    assert body.closed == 1


def test_a_generator_is_closed_when_the_client_has_gone() -> None:
    ended: list[str] = []

    def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [TEXT])
        try:
            for _ in range(1000):
                yield b"x"
        finally:
            ended.append("closed")

    exchange, _ = serve(application, transport=FakeTransport(breaks_at=2))
    assert ended == ["closed"]
    assert exchange.ending is Ending.ABORT


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("kind", ["stream", "list", "large list", "file"])
def test_an_error_in_close_after_a_complete_response_is_logged_and_no_more(
    kind: str, method: str, path: Path, logged: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ValueError("in close")

    class Failing(list[bytes]):
        def close(self) -> None:
            fail()

    file = path.open("rb")
    file.close, close = fail, file.close  # type: ignore[method-assign]
    bodies: dict[str, Iterable[bytes]] = {
        "stream": Body(b"01234", b"56789", error=ValueError("in close")),
        "list": Failing([b"0123456789"]),
        "large list": Failing([b"0123456789" * GATHER_SIZE]),
        "file": FileWrapper(file),
    }
    exchange, transport = serve(answering(bodies[kind]), method)
    close()
    times = GATHER_SIZE if kind == "large list" else 1
    assert exchange.ending is Ending.PERSIST
    assert read_response(transport.data, method).body == (
        b"0123456789" * times if method == "GET" else b""
    )
    assert transport.finished == 1
    assert "in close" in settled(logged).text


# --- a client that goes away ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "application",
    [
        answering([b"a"]),
        answering(Body(b"a", b"b")),
        answering(Body()),
        answering(BodyList([b"a"])),
        answering(Body(b"a", error=ValueError())),
        answering([], status="204 x"),
        writing([b"a"]),
    ],
)
def test_a_client_that_goes_away_ends_the_exchange(application: Application) -> None:
    exchange, _ = serve(application, transport=FakeTransport(breaks_at=0))
    assert exchange.ending is Ending.ABORT


def test_a_client_that_goes_away_before_its_answer_has_no_status() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise ClientDisconnected("while the body was read")

    exchange, transport = serve(application)
    assert (exchange.status, exchange.ending) == (0, Ending.ABORT)
    assert transport.data == b""


def test_a_client_that_goes_away_is_no_error_of_the_application(
    logged: pytest.LogCaptureFixture,
) -> None:
    serve(answering(Body(b"a", b"b")), transport=FakeTransport(breaks_at=1))
    assert not [each for each in settled(logged).records if each.levelno >= logging.ERROR]


def test_write_raises_when_the_client_has_gone() -> None:
    raised: list[BaseException] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [TEXT])
        try:
            write(b"a")
        except ClientDisconnected as error:
            raised.append(error)
            raise
        return []

    exchange, _ = serve(application, transport=FakeTransport(breaks_at=0))
    assert len(raised) == 1
    assert exchange.ending is Ending.ABORT


def test_an_error_and_a_client_that_has_gone_end_the_exchange() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise ValueError

    exchange, _ = serve(application, transport=FakeTransport(breaks_at=0))
    assert exchange.ending is Ending.ABORT


@pytest.mark.parametrize(
    ("body", "breaks_at"), [(Body(b"a"), 0), (Body(b"a"), 1), ([b"a"], 0), (BodyList([b"a"]), 0)]
)
def test_a_transport_that_fails_in_another_way_does_not_leave_the_client_waiting(
    body: Iterable[bytes], breaks_at: int
) -> None:
    transport = FakeTransport(breaks_at=breaks_at, error=OSError)
    exchange, _ = serve(answering(body), transport=transport)
    assert exchange.ending is Ending.ABORT


# --- files ------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_bytes(b"0123456789")
    return file


class Opened:
    """Serves a file, and keeps it to look at."""

    def __init__(self, path: Path, offset: int = 0, **head: Any) -> None:
        self.file = path.open("rb")
        self.file.seek(offset)
        self._head = head

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return answering(FileWrapper(self.file), **self._head)(environ, start_response)


def test_a_file_is_handed_to_the_transport_unread(path: Path) -> None:
    application = Opened(path)
    _, transport = serve(application)
    response = read_response(transport.data)
    assert response.values("content-length") == ["10"]
    assert response.body == b"0123456789"
    assert [(each.offset, each.count) for each in transport.files] == [(0, 10)]
    assert application.file.closed


def test_a_file_is_sent_from_where_it_stands(path: Path) -> None:
    _, transport = serve(Opened(path, 4))
    assert read_response(transport.data).body == b"456789"


@pytest.mark.parametrize("count", [1, 3, 8])
def test_of_a_file_no_more_is_sent_than_was_announced(path: Path, count: int) -> None:
    _, transport = serve(Opened(path, 2, fields=[("Content-Length", str(count))]))
    response = read_response(transport.data)
    assert (response.body, response.rest) == (b"23456789"[:count], b"")


def test_a_file_that_is_shorter_than_announced_is_answered_with_500(path: Path) -> None:
    application = Opened(path, fields=[("Content-Length", "11")])
    assert response_of(application).status == 500
    assert application.file.closed


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", "200 OK"), ("GET", "204 No Content"), ("GET", "304 x")]
)
def test_a_file_is_not_sent_where_there_is_no_body(path: Path, method: str, status: str) -> None:
    application = Opened(path, status=status)
    _, transport = serve(application, method)
    assert transport.files == []
    assert transport.data.endswith(b"\r\n\r\n")
    assert application.file.closed


def test_head_of_a_file_says_its_length(path: Path) -> None:
    assert response_of(Opened(path), "HEAD").values("content-length") == ["10"]


def test_an_empty_file_is_an_empty_body(path: Path) -> None:
    path.write_bytes(b"")
    response = response_of(Opened(path))
    assert (response.values("content-length"), response.body) == (["0"], b"")


def test_a_file_has_a_length_in_http_1_0_too(path: Path) -> None:
    exchange, transport = serve(Opened(path), minor=0)
    assert exchange.ending is Ending.PERSIST
    assert read_response(transport.data).body == b"0123456789"


def test_what_only_looks_like_a_file_is_read_in_blocks() -> None:
    class Counting(io.BytesIO):
        reads = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.reads += 1
            return super().read(size)

    file = Counting(b"0123456789")
    response = response_of(answering(FileWrapper(file, 4)))
    assert response.body == b"0123456789"
    assert file.reads == 4
    assert file.closed


def test_a_file_after_write_is_part_of_the_stream(path: Path) -> None:
    with path.open("rb") as file:
        response = response_of(writing([b"head "], [], FileWrapper(file)))
    assert response.body == b"head 0123456789"


def test_a_client_that_goes_away_during_a_file_has_it_closed(path: Path) -> None:
    application = Opened(path)
    exchange, _ = serve(application, transport=FakeTransport(breaks_at=0))
    assert exchange.ending is Ending.ABORT
    assert application.file.closed
