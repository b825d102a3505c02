"""The link `forward`, before upstreams that answer as told."""

from __future__ import annotations

import io
import logging
import re
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
from bascule_middleware.chain import ChainError, build, load
from bascule_middleware.links.exceptions import Exceptions
from bascule_middleware.links.forward.forward import Forward
from bascule_middleware.links.forward.retry import UpstreamError
from bascule_middleware.links.proxy_headers import ProxyHeaders
from bascule_middleware.settings import SettingError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.ports import free_port, listen
from tests.middleware import hostile
from tests.middleware.gateway import Gateway, respond
from tests.middleware.upstream import HELLO, Upstream, hang_up, read_request

NO_BODY = b"HTTP/1.1 204 No Content\r\n\r\n"


def forward(*upstreams: Upstream | str, application: Any = None, **others: Any) -> Forward:
    names = [each if isinstance(each, str) else each.name for each in upstreams]
    return Forward(application, upstreams=names, **others)


def closed_port() -> str:
    """Return an address that refuses connections."""
    return f"http://127.0.0.1:{free_port()}"


def sent(upstream: Upstream, number: int = 0) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return request line, fields and body of a request that the upstream got."""
    head, body = upstream.requests[number].split(b"\r\n\r\n", 1)
    line, *fields = head.decode("latin-1").split("\r\n")
    return line, [tuple(field.split(": ", 1)) for field in fields], body  # type: ignore[misc]


# --- what goes through -----------------------------------------------------------------------


def test_a_request_is_forwarded_and_its_response_returned() -> None:
    with Upstream() as upstream:
        response = respond(
            validator(forward(upstream)), PATH_INFO="/a b", QUERY_STRING="c=d", HTTP_ACCEPT="*/*"
        )
    assert (response.status, response.body) == ("200 OK", b"hello")
    assert response.field("Content-Length") == "5"
    line, fields, _ = sent(upstream)
    assert line == "GET /a%20b?c=d HTTP/1.1"
    assert ("Accept", "*/*") in fields
    assert ("Host", "server:8000") in fields


def test_nothing_is_added_but_via_and_the_forwarded_fields() -> None:
    with Upstream() as upstream:
        respond(forward(upstream), REMOTE_ADDR="192.0.2.7")
    _, fields, _ = sent(upstream)
    assert sorted(name for name, _ in fields) == [
        "Host",
        "Via",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Port",
        "X-Forwarded-Proto",
    ]


def test_an_upstream_may_listen_at_a_unix_socket(tmp_path: Path) -> None:
    with Upstream(path=tmp_path / "u") as upstream:
        assert respond(forward(upstream)).body == b"hello"


def test_what_is_not_below_the_path_is_the_applications() -> None:
    with Upstream(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nupstream") as upstream:
        link = forward(upstream, application=hostile.greets, path="/api")
        bodies = {
            path: respond(link, PATH_INFO=path).body
            for path in ("/api", "/api/", "/api/x", "/apix", "/", "/x/api")
        }
        mounted = respond(link, SCRIPT_NAME="/api", PATH_INFO="/x").body
    theirs = {path for path, body in bodies.items() if body == b"upstream"}
    assert theirs == {"/api", "/api/", "/api/x"}
    assert mounted == b"upstream"


def test_the_environ_names_the_upstream() -> None:
    with Upstream() as upstream:
        assert respond(forward(upstream)).environ["bascule.upstream"] == upstream.name


def test_a_body_of_known_length_is_sent_with_its_length() -> None:
    with Upstream() as upstream:
        respond(
            validator(forward(upstream)),
            REQUEST_METHOD="POST",
            CONTENT_LENGTH="4",
            CONTENT_TYPE="text/plain",
            **{"wsgi.input": io.BytesIO(b"bodyand what is not of it")},
        )
    _, fields, body = sent(upstream)
    assert [value for name, value in fields if name == "Content-Length"] == ["4"]
    assert ("Content-Type", "text/plain") in fields
    assert body == b"body"


def test_a_body_that_the_server_has_not_measured_is_sent_in_chunks() -> None:
    variables: dict[str, Any] = {
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input_terminated": True,
        "wsgi.input": io.BytesIO(b"body"),
    }
    with Upstream() as upstream:
        respond(forward(upstream), REQUEST_METHOD="POST", **variables)
    _, fields, body = sent(upstream)
    assert [value for name, value in fields if name == "Transfer-Encoding"] == ["chunked"]
    assert not [name for name, _ in fields if name == "Content-Length"]
    assert body == b"4\r\nbody\r\n0\r\n\r\n"


def test_connections_are_used_again() -> None:
    with Upstream() as upstream:
        link = forward(upstream)
        for method in ("GET", "POST", "DELETE"):
            assert respond(link, REQUEST_METHOD=method).body == b"hello"
    assert upstream.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + HELLO,
        HELLO,
        b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: \t5 \r\n\r\nhello",
    ],
    ids=["204", "304", "empty", "chunked", "interim", "length", "304 chunked", "white space"],
)
def test_the_connection_stays_in_step_after_every_kind_of_response(answer: bytes) -> None:
    after = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext"
    with Upstream(answer, after) as upstream:
        link = forward(upstream)
        status = answer.split(b" ")[1] if b"103" not in answer else b"200"
        assert respond(link).status.startswith(status.decode())
        assert respond(link).body == b"next"
    assert upstream.connections == 1


def test_an_idle_connection_is_closed_and_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bascule_middleware.links.forward.upstreams.LONGEST_IDLE", 0.05)
    closed = threading.Event()

    def answer_and_wait(connection: socket.socket) -> None:
        connection.sendall(HELLO)
        if connection.recv(1) == b"":
            closed.set()

    with Upstream(answer_and_wait) as upstream:
        link = forward(upstream)
        assert respond(link).body == b"hello"
        assert closed.wait(20)
        assert respond(link, REQUEST_METHOD="POST").body == b"hello"
    assert upstream.connections == 2


def test_a_connection_that_the_upstream_has_closed_is_not_used_again() -> None:
    closed = threading.Event()

    def answer_and_close(connection: socket.socket) -> None:
        connection.sendall(HELLO)
        connection.shutdown(socket.SHUT_RDWR)
        closed.set()

    with Upstream(answer_and_close, HELLO) as upstream:
        link = forward(upstream)
        assert respond(link).body == b"hello"
        assert closed.wait(20)
        assert respond(link, REQUEST_METHOD="POST").body == b"hello"


def test_a_connection_that_is_too_old_is_not_used_again_before_it_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Upstream() as upstream:
        link = forward(upstream)
        respond(link)
        monkeypatch.setattr("bascule_middleware.links.forward.upstreams.LONGEST_IDLE", 0.0)
        respond(link)
    assert upstream.connections == 2


def test_the_response_to_head_has_the_fields_of_get_and_no_body() -> None:
    with Upstream(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", NO_BODY) as upstream:
        link = forward(upstream)
        response = respond(link, REQUEST_METHOD="HEAD")
        assert respond(link).status == "204 No Content"
    assert response.field("Content-Length") == "500"
    assert response.body == b""
    assert upstream.connections == 1


def test_a_body_that_ends_with_the_connection_is_passed_on() -> None:
    def until_close(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nall of it")

    with Upstream(until_close) as upstream:
        response = respond(forward(upstream))
    assert response.body == b"all of it"
    assert response.field("Via").startswith("1.0 ")


def test_a_coded_body_is_passed_on_as_it_is() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b!"
    with Upstream(answer) as upstream:
        response = respond(forward(upstream))
    assert response.body == b"\x1f\x8b!"
    assert response.field("Content-Encoding") == "gzip"


def test_fields_that_come_several_times_stay_apart() -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nDate: x\r\nDate: y\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    with Upstream(answer) as upstream:
        fields = respond(forward(upstream)).fields
    assert [value for name, value in fields if name.lower() == "set-cookie"] == ["a=1", "b=2"]
    assert [value for name, value in fields if name == "Date"] == ["x"]


def test_white_space_round_a_value_is_not_part_of_it() -> None:
    with Upstream(b"HTTP/1.1 200 OK\r\nContent-Length:\t 5 \r\nX:y\r\n\r\nhello") as upstream:
        response = respond(forward(upstream))
    assert (response.field("Content-Length"), response.field("X")) == ("5", "y")


def test_redirects_are_the_clients_to_follow() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n"
    with Upstream(answer) as upstream:
        assert respond(forward(upstream)).field("Location") == "http://evil.example/"
    assert len(upstream.requests) == 1


def test_a_status_without_a_phrase_gets_the_usual_one() -> None:
    with Upstream(b"HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n") as upstream:
        assert respond(forward(upstream)).status == "404 Not Found"


# --- streams ---------------------------------------------------------------------------------


def test_the_first_block_arrives_before_the_last_is_made() -> None:
    seen = threading.Event()

    def slowly(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nfirs")
        assert seen.wait(20)
        connection.sendall(b"last")

    with Upstream(slowly) as upstream:
        link = forward(upstream)
        gateway = Gateway(link)
        blocks = link(gateway.environ, gateway.start_response)
        iterator = iter(blocks)
        assert next(iterator) == b"firs"
        seen.set()
        assert next(iterator) == b"last"
        assert list(iterator) == []
        blocks.close()  # type: ignore[attr-defined]


def test_a_client_that_goes_ends_the_upstreams_connection() -> None:
    hung_up = threading.Event()

    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while True:
                connection.sendall(b"x" * 65536)
        except OSError:
            hung_up.set()

    with Upstream(endless) as upstream:
        response = Gateway(forward(upstream)).run(blocks=2)
        assert hung_up.wait(20)
    assert 0 < max(map(len, response.blocks)) <= 65536


@pytest.mark.parametrize(
    "beginning",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nbegun",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n32\r\nbegun",
    ],
    ids=["length", "between chunks", "in a chunk"],
)
def test_a_response_that_breaks_off_never_looks_whole(beginning: bytes) -> None:
    with Upstream(lambda connection: connection.sendall(beginning)) as upstream:
        gateway = Gateway(Exceptions(forward(upstream)))
        with pytest.raises(UpstreamError):
            gateway.run()
    assert gateway.blocks == [b"begun"]


def test_a_response_that_breaks_off_before_its_body_is_a_502() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n"
    with Upstream(lambda connection: connection.sendall(head)) as upstream:
        assert respond(forward(upstream)).status == "502 Bad Gateway"


# --- failures and retries --------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_upstream_serves_what_one_refused(method: str) -> None:
    with Upstream() as upstream:
        link = forward(closed_port(), upstream)
        for _ in range(4):
            variables: dict[str, Any] = {"wsgi.input": io.BytesIO(b"body"), "CONTENT_LENGTH": "4"}
            assert respond(link, REQUEST_METHOD=method, **variables).body == b"hello"
    assert {request[-4:] for request in upstream.requests} == {b"body"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
def test_another_upstream_gets_an_idempotent_request_that_one_dropped(method: str) -> None:
    with Upstream(hang_up) as bad, Upstream(NO_BODY) as good:
        response = respond(forward(bad, good), REQUEST_METHOD=method)
    assert response.status == "204 No Content"
    assert (len(bad.requests), len(good.requests)) == (1, 1)


@pytest.mark.parametrize(
    ("method", "body"), [("POST", b""), ("PATCH", b""), ("POST", b"body"), ("PUT", b"body")]
)
def test_what_might_have_been_done_already_is_not_sent_twice(method: str, body: bytes) -> None:
    variables: dict[str, Any] = {
        "wsgi.input": io.BytesIO(body),
        "CONTENT_LENGTH": str(len(body) or ""),
    }
    with Upstream(hang_up) as bad, Upstream() as good:
        response = respond(forward(bad, good), REQUEST_METHOD=method, **variables)
    assert response.status == "502 Bad Gateway"
    assert (len(bad.requests), len(good.requests)) == (1, 0)


def test_a_get_is_sent_to_no_more_than_three() -> None:
    with Upstream(hang_up) as bad, Upstream(hang_up) as worse, Upstream(hang_up) as worst:
        those = [bad, worse, worst]
        response = respond(forward(*those, closed_port()))
    assert response.status == "502 Bad Gateway"
    assert sum(len(each.requests) for each in those) <= 3


def test_unreachable_is_a_502_with_a_page_as_the_client_prefers() -> None:
    link = validator(forward(closed_port()))
    response = respond(link, HTTP_ACCEPT="application/json", **{"bascule.request_id": "the-id"})
    assert response.status == "502 Bad Gateway"
    assert response.body == b'{"error": "Bad Gateway", "request_id": "the-id"}'


def test_a_name_that_does_not_resolve_is_a_502() -> None:
    assert respond(forward("http://nowhere.invalid")).status == "502 Bad Gateway"


def test_silence_is_a_504_and_nobody_else_is_asked() -> None:
    over = threading.Event()
    with Upstream(lambda _: over.wait(20)) as silent, Upstream() as good:
        response = respond(forward(silent, good, response_timeout=0.05))
        over.set()
    assert response.status == "504 Gateway Timeout"
    assert not good.requests


def test_silence_in_the_middle_of_a_body_cuts_the_response() -> None:
    over = threading.Event()

    def stops(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nbegun")
        over.wait(20)

    with Upstream(stops) as upstream:
        with pytest.raises(UpstreamError):
            respond(forward(upstream, response_timeout=0.05))
        over.set()


def test_an_upstream_that_takes_no_body_is_a_504() -> None:
    with listen() as listener:  # accepts, and never reads
        name = f"http://127.0.0.1:{listener.getsockname()[1]}"
        variables: dict[str, Any] = {
            "wsgi.input": io.BytesIO(bytes(32 << 20)),
            "CONTENT_LENGTH": str(32 << 20),
        }
        link = forward(name, response_timeout=0.05)
        response = respond(link, REQUEST_METHOD="POST", **variables)
    assert response.status == "504 Gateway Timeout"


def test_an_upstream_may_take_longer_to_read_a_body_than_to_be_reached() -> None:
    def read_late(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        threading.Event().wait(0.2)  # longer than the time to connect
        with connection, connection.makefile("rb") as file:
            assert read_request(file).endswith(b"\0\0")
            connection.sendall(HELLO)

    with listen() as listener:
        thread = threading.Thread(target=read_late, args=(listener,))
        thread.start()
        variables: dict[str, Any] = {
            "wsgi.input": io.BytesIO(bytes(32 << 20)),
            "CONTENT_LENGTH": str(32 << 20),
        }
        name = f"http://127.0.0.1:{listener.getsockname()[1]}"
        link = forward(name, connect_timeout=0.05, response_timeout=20.0)
        assert respond(link, REQUEST_METHOD="POST", **variables).body == b"hello"
        thread.join(20)


def test_nobody_left_is_a_503_that_says_when_to_come_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    link = forward(closed_port(), max_failures=1, ejection=7.5)
    assert respond(link).status == "502 Bad Gateway"
    response = respond(link)
    assert response.status == "503 Service Unavailable"
    assert response.field("Retry-After") == "8"
    events = [record.event for record in caplog.records if record.name == "bascule.forward"]  # type: ignore[attr-defined]
    assert events == ["upstream_failed", "upstream_ejected", "no_upstream"]


def test_an_upstream_comes_back_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bascule.forward")
    with Upstream(hang_up, HELLO) as upstream:
        link = forward(upstream, max_failures=1, ejection=0.001)
        assert respond(link).status == "502 Bad Gateway"
        threading.Event().wait(0.002)  # the ejection
        assert respond(link).body == b"hello"
    assert "upstream_restored" in [record.event for record in caplog.records]  # type: ignore[attr-defined]


def test_an_early_answer_to_a_long_body_is_passed_on() -> None:
    answer = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    def refuse(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 20):
                pass

    with listen() as listener:
        thread = threading.Thread(target=refuse, args=(listener,))
        thread.start()
        variables: dict[str, Any] = {
            "wsgi.input": io.BytesIO(bytes(4 << 20)),
            "CONTENT_LENGTH": str(4 << 20),
        }
        link = forward(f"http://127.0.0.1:{listener.getsockname()[1]}")
        response = respond(link, REQUEST_METHOD="POST", **variables)
        thread.join(20)
    assert response.status == "413 Content Too Large"


def test_a_body_that_the_client_does_not_finish_is_a_400_and_nobodys_fault() -> None:
    variables: dict[str, Any] = {"wsgi.input": io.BytesIO(b"half"), "CONTENT_LENGTH": "8"}
    with Upstream() as upstream:
        link = forward(upstream, max_failures=1)
        assert respond(link, REQUEST_METHOD="POST", **variables).status == "400 Bad Request"
        assert respond(link).body == b"hello"


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: a\rSet-Cookie: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: a\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno field\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: \x00\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\nhellohello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 50,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_response_is_a_502(answer: bytes) -> None:
    with Upstream(answer) as upstream:
        assert respond(validator(forward(upstream))).status == "502 Bad Gateway"


PIECES = [
    *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 404 Not Found\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    *(b"HTTP/1.1 304 Not Modified\r\n", b"HTTP/1.1 103 Early Hints\r\n", b"HTTP/9.9 200 OK\r\n"),
    *(b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(
        b"Connection: close, X\r\n",
        b"X: y\r\n",
        b"X: \xff\x85\r\n",
        b"Set-Cookie: a\r\n",
        b": y\r\n",
    ),
    *(
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\0",
        b"hello",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"fffffffff\r\n",
    ),
]


@pytest.fixture(scope="module")
def babbling() -> Iterator[tuple[Upstream, list[bytes]]]:
    """An upstream, and what it says to the next request before it hangs up."""
    words: list[bytes] = [b""]
    with Upstream(lambda connection: connection.sendall(words[0])) as upstream:
        yield upstream, words


@settings(max_examples=200, deadline=None)
@given(said=st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join) | st.binary(max_size=30))
def test_whatever_an_upstream_says_is_a_response_or_a_502_or_cut_short(
    babbling: tuple[Upstream, list[bytes]], said: bytes
) -> None:
    upstream, words = babbling
    words[0] = said
    gateway = Gateway(forward(upstream, response_timeout=5.0))
    try:
        gateway.run()
    except UpstreamError:
        assert gateway.head_is_sent, "cut short before there was anything to cut"
    assert gateway.status.startswith(("200 ", "304 ", "404 ", "502 "))
    for name, value in gateway.fields:
        assert re.fullmatch(r"[A-Za-z-]+", name)
        assert re.fullmatch(r"[\t \x21-\x7e\x80-\xff]*", value)


# --- the chain -------------------------------------------------------------------------------


def test_the_client_that_proxy_headers_found_is_the_one_that_is_forwarded() -> None:
    with Upstream() as upstream:
        chain = ProxyHeaders(forward(upstream))
        respond(
            chain,
            HTTP_X_FORWARDED_FOR="203.0.113.9, 192.0.2.1",
            HTTP_X_FORWARDED_PROTO="https",
            HTTP_X_FORWARDED_HOST="shop.example",
        )
    _, fields, _ = sent(upstream)
    assert {
        "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "shop.example",
        "X-Forwarded-Port": "443",
        "Host": "shop.example",
    }.items() <= dict(fields).items()


def test_consistent_hashing_goes_by_the_field_else_by_the_client() -> None:
    with Upstream() as one, Upstream() as two, Upstream() as three:
        link = forward(one, two, three, balance="hash", hash_field="X-Session")
        by_field = [
            respond(link, HTTP_X_SESSION="alice", REMOTE_ADDR=f"192.0.2.{n}") for n in range(6)
        ]
        by_client = [respond(link, REMOTE_ADDR="192.0.2.7") for _ in range(6)]
        spread = [respond(link, REMOTE_ADDR=f"192.0.2.{n}") for n in range(40)]
    for responses, count in ((by_field, 1), (by_client, 1), (spread, 3)):
        assert len({each.environ["bascule.upstream"] for each in responses}) == count


def test_the_first_request_starts_active_checks() -> None:
    asked = threading.Event()

    def answer(connection: socket.socket) -> None:
        connection.sendall(HELLO)
        if any(request.startswith(b"GET /health HTTP/1.1\r\n") for request in upstream.requests):
            asked.set()

    with Upstream(answer) as upstream:
        # One round of checks only: the next comes long after the test.
        link = forward(upstream, health_path="/health", health_interval=1e6)
        assert respond(link).body == b"hello"
        assert asked.wait(20)


# --- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"upstreams": []}, 'setting "upstreams": empty'),
        ({"upstreams": ["http://a", "http://a"]}, 'setting "upstreams": has an address twice'),
        ({"upstreams": ["https://a"]}, '"https://a" is not an address; write "http://host:port"'),
        ({"upstreams": ["127.0.0.1:80"]}, '"127.0.0.1:80" is not an address'),
        ({"upstreams": ["http://a:b"]}, '"http://a:b" is not an address'),
        ({"upstreams": ["http://a:99999"]}, '"http://a:99999" is not an address'),
        ({"upstreams": ["http://[::1"]}, '"http://[::1" is not an address'),
        ({"upstreams": ["http://a b"]}, '"http://a b" is not an address'),
        ({"upstreams": ["http://a/path"]}, '"http://a/path" has more than a host and a port'),
        ({"upstreams": ["http://u:p@a"]}, '"http://u:p@a" has more than a host and a port'),
        ({"upstreams": ["unix:"]}, '"unix:" must name a socket'),
        ({"upstreams": ["unix:/" + "x" * 107]}, "must name a socket, in at most 107 bytes"),
        ({"weights": [1, 2]}, 'setting "weights": has 2 for 1 upstreams'),
        ({"weights": [0]}, 'setting "weights": 0 must be 1 or more'),
        ({"path": "api"}, 'setting "path": "api" must begin with "/"'),
        ({"host": "a b"}, 'setting "host": "a b" is not a host'),
        ({"hash_field": "a b"}, 'setting "hash_field": "a b" is not the name of a field'),
        ({"health_path": "/a b"}, 'setting "health_path": "/a b" must be like "/health"'),
        ({"connect_timeout": 0}, 'setting "connect_timeout": 0 must be more than 0'),
        ({"response_timeout": -1.0}, 'setting "response_timeout": -1.0 must be more than 0'),
        ({"ejection": float("nan")}, 'setting "ejection": nan must be more than 0'),
        ({"max_failures": 0}, 'setting "max_failures": 0 must be more than 0'),
    ],
)
def test_a_setting_that_cannot_work_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError) as caught:
        Forward(hostile.greets, **{"upstreams": ["http://a"], **wrong})
    assert message in str(caught.value)


def test_a_path_needs_an_application_for_the_rest() -> None:
    with pytest.raises(SettingError, match='setting "path": must be "/"'):
        Forward(None, upstreams=["http://a"], path="/api")


def test_no_part_of_a_request_begins_a_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    link = forward(closed_port())
    for variables in (
        {"REQUEST_METHOD": "GET\r\nforged"},
        {"PATH_INFO": "/a\r\nforged"},
        {"PATH_INFO": "/..\r\nforged/.."},
    ):
        respond(link, **variables)
    assert len(caplog.messages) == 3
    assert not any("\n" in message or "\r" in message for message in caplog.messages)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "bascule_middleware.links.forward.upstreams")
    monkeypatch.setitem(sys.modules, "urllib3", None)
    path = tmp_path / "chain.toml"
    path.write_text(
        'application = "app.hello:application"\n'
        '[[links]]\nuse = "forward"\nupstreams = ["http://a"]\n'
    )
    with pytest.raises(ChainError) as caught:
        build(load(path))
    assert str(caught.value) == (
        f'{path}:2: link "forward": setting "use": the link needs the package "urllib3"; '
        "install it: pip install urllib3"
    )
