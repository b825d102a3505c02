"""What is remembered of the last request and of its answer never changes what a later one gets.

The oracle is a server that has seen nothing before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server import gateway
from server.gateway import Ending, Exchange
from server.request import SHORT_HEAD, Environ, HeadParser, HeadReader, Request, RequestLine
from tests.rfc9112.feeding import LIMITS
from tests.server.transports import FakeTransport

# --- the request -----------------------------------------------------------------------------------

HEADS = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: b\r\n\r\n",
    b"GET /?q=1 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\nX-A: c\r\nX_A: d\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nCookie: " + b"c" * SHORT_HEAD + b"\r\n\r\n",
)
SHARED = {"SERVER_NAME": "a", "REMOTE_ADDR": "192.0.2.7"}


def is_read(reader: HeadReader, head: bytes) -> tuple[Any, ...]:
    """Return what a head means, and spoil the environ as an application might."""
    found = reader.feed(bytes(bytearray(head)))  # other bytes each time, as from a socket
    assert found is not None
    request, environ = found
    meaning = (
        request.line.target,
        request.line.minor,
        request.content_length,
        request.chunked,
        request.keep_alive,
        request.expects_continue,
        dict(environ),
    )
    environ.clear()
    environ["HTTP_X_A"] = "spoiled"
    return meaning


@given(heads=st.lists(st.sampled_from(HEADS), max_size=12))
def test_a_connection_reads_each_head_as_a_new_one_would(heads: list[bytes]) -> None:
    reader = HeadReader(HeadParser(LIMITS), SHARED)
    for head in heads:
        assert is_read(reader, head) == is_read(HeadReader(HeadParser(LIMITS), SHARED), head)
    assert set(SHARED) == {"SERVER_NAME", "REMOTE_ADDR"}


@pytest.mark.parametrize("head", HEADS)
def test_a_head_means_the_same_however_often_it_comes(head: bytes) -> None:
    reader = HeadReader(HeadParser(LIMITS), SHARED)
    first = is_read(reader, head)
    assert [is_read(reader, head) for _ in range(5)] == [first] * 5


def test_nothing_is_read_from_nothing_after_a_head_that_came_twice() -> None:
    reader = HeadReader(HeadParser(LIMITS), SHARED)
    assert reader.feed(b"") is None
    for _ in range(3):
        is_read(reader, HEADS[0])
        assert reader.feed(b"") is None


def test_what_follows_a_head_that_came_twice_is_not_lost() -> None:
    reader = HeadReader(HeadParser(LIMITS), SHARED)
    for _ in range(3):
        is_read(reader, HEADS[0])
    first = reader.feed(HEADS[0] + HEADS[1][:20])
    assert first is not None
    assert reader.rest == HEADS[1][:20]
    second = reader.feed(HEADS[1][20:])
    assert second is not None
    assert second[1]["HTTP_HOST"] == "b"


# --- the response ----------------------------------------------------------------------------------


class Step(NamedTuple):
    """One request and what the application does with it.

    Attributes:
        now: seconds since the epoch.
        persists: whether another request may follow.
        status: as given to ``start_response``.
        fields: as given to ``start_response``.
        body: what the application returns.
    """

    now: float
    persists: bool
    status: str
    fields: list[tuple[str, str]]
    body: list[bytes]


STATUSES = st.sampled_from(("200 OK", "200 OK", "404 Not Found", "204 No Content", "200"))
FIELDS = st.lists(
    st.sampled_from(
        (
            ("Content-Type", "text/plain"),
            ("Content-Length", "5"),
            ("Content-Length", "0"),
            ("X-Request-ID", "abc"),
            ("Date", "then"),
            ("Server", "mine"),
            ("Connection", "close"),
            ("X-Long", "b" * 600),
            ("X-Typed", 5),
            ["X-Listed", "5"],
        )
    ),
    max_size=2,
)
BODIES = st.sampled_from(
    ([b"hello"], [b"howdy"], [b"he", b"llo"], [b""], [], [b"longer"], ["hello"])
)


@st.composite
def steps(draw: st.DrawFn) -> list[Step]:
    """Return what an application might say that has few different things to say."""
    heads = draw(st.lists(st.tuples(STATUSES, FIELDS), min_size=1, max_size=2))
    bodies = draw(st.lists(BODIES, min_size=1, max_size=2))
    step = st.builds(
        lambda now, persists, head, body: Step(now, persists, *head, body),
        st.sampled_from((1000.0, 1000.0, 1000.9, 1001.0, 999.5)),
        st.sampled_from((True, True, True, False)),
        st.sampled_from(heads),
        st.sampled_from(bodies),
    )
    return draw(st.lists(step, max_size=8))


def answered(request: Request, step: Step, headers: list[Any]) -> tuple[bytes, int, str, Ending]:
    """Answer a request; return what was sent, and what the log would say."""

    def application(_environ: Environ, start_response: Any) -> Iterable[bytes]:
        headers[:] = step.fields  # the same list each time, as some applications have it
        start_response(step.status, headers)
        headers.append(("X-Too", "late"))
        return step.body

    transport = FakeTransport(persist=step.persists)
    exchange = Exchange(request, {}, transport)
    exchange.run(application)
    return transport.data, exchange.status, exchange.request_id, exchange.ending


@settings(max_examples=400)
@given(
    said=steps(), method=st.sampled_from(("GET", "GET", "HEAD")), minor=st.sampled_from((1, 1, 0))
)
def test_a_request_is_answered_as_the_first_of_its_kind(
    said: list[Step], method: str, minor: int
) -> None:
    def a_request() -> Request:
        return Request(RequestLine(method, "/", "/", "", minor))

    request, headers = a_request(), []
    with pytest.MonkeyPatch.context() as patch:
        for step in said:
            patch.setattr(gateway.time, "time", lambda now=step.now: now)
            assert answered(request, step, headers) == answered(a_request(), step, [])


def test_fields_that_are_not_remembered_are_not_taken_for_those_that_are() -> None:
    short, long = ("X-Size", "small"), ("X-Size", "b" * 600)
    request = Request(RequestLine("GET", "/", "/", "", 1))
    for field in (short, short, long, long, short, long):
        step = Step(1000.0, True, "200 OK", [field], [b"hello"])
        data, *_ = answered(request, step, [])
        assert f"X-Size: {field[1]}\r\n".encode() in data
