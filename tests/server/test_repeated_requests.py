"""What is remembered of the last request and of its answer never changes what a later one gets.

The oracle is a server that has seen nothing before.
"""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterable
from typing import Any, NamedTuple

import pytest
from bascule.errors import ProtocolError
from bascule.http.field_line import LONGEST_NAME, NAMES
from bascule.http.head import HOSTS, LONGEST_HOST, HeadParser, HeadReader
from bascule.http.request import Environ, Request
from bascule.wsgi import gateway
from bascule.wsgi.gateway import Ending, Exchange
from hypothesis import given, settings
from hypothesis import strategies as st

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
    b"GET / HTTP/1.1\r\nHost: a\r\nCookie: " + b"c" * 256 + b"\r\n\r\n",
)
SHARED = {"SERVER_NAME": "a", "REMOTE_ADDR": "192.0.2.7"}


def is_read(reader: HeadReader, head: bytes) -> tuple[Any, ...]:
    """Return what a head means, and spoil the environ as an application might."""
    found = reader.feed(bytes(bytearray(head)))  # other bytes each time, as from a socket
    assert found is not None
    request, environ = found
    meaning = (
        request.target,
        request.minor,
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


# Blocks before and after an id, some of which do not go together, or make no head at all.
FEW = LIMITS._replace(fields=6, field=100)
OPENINGS = (
    b"GET / HTTP/1.1\r\nHost: a",
    b"GET /b HTTP/1.1\r\nHost: b\r\nX-A: b",
    b"GET / HTTP/1.1",
    b"GET / HTTP/1.0\r\nHost: a",
    b"GET /?q=1 HTTP/1.1\r\nHost: a",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0",
    b"GET / HTTP/1.1\r\nHost: a\r\nX_Request_ID: b\r\nX_A: b",
    b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\nX-B: c\r\nX-C: d",
    b"GET http://a/ HTTP/1.1\r\nHost: a",
    b"GET / HTTP/1.1\r\nHost: a\r\n",
    b"GET /\r\nHost: a",
)
IDS = (
    b"\r\nX-Request-ID: 0123",
    b"\r\nX-Request-ID: 4567",
    b"\r\nX-Request-ID: a b",
    b"\r\nX-Request-ID: ",
    b"\r\nX-Request-ID:  c ",
    b"\r\nX-Request-ID: \xe9",
    b"\r\nX-Request-ID: a\rb",
    b"\r\nX-Request-ID: " + b"d" * 86,
    b"\r\nX-Request-ID: " + b"d" * 90,
    b"\r\nX-Request-ID: 1\r\nX-Request-ID: 2",
    b"\r\nx-request-id: 3",
    b"",
)
RESTS = (
    b"",
    b"\r\nX-Forwarded-For: 192.0.2.1",
    b"\r\nX-Forwarded-For: 192.0.2.1\r\nX-A: d",
    b"\r\nX-A: d\r\nX-A: e",
    b"\r\nHost: a",
    b"\r\nX_A: d",
    b"\r\nX-D: d\r\nX-E: e\r\nX-F: f",
    b"\r\nConnection: close",
    b"\r\nContent-Length: 3",
    b"\r\nTransfer-Encoding: chunked",
    b"\r\n continued: x",
    b"\r\nX-Request-ID: 8",
    b"\r\n\r\nGET /second HTTP/1.1\r\nHost: a",
)


@st.composite
def proxied(draw: st.DrawFn) -> list[bytes]:
    """Return heads as they come from a proxy that has few clients, and few pages."""
    openings = draw(st.lists(st.sampled_from(OPENINGS), min_size=1, max_size=2))
    rests = draw(st.lists(st.sampled_from(RESTS), min_size=1, max_size=2))
    parts = st.tuples(st.sampled_from(openings), st.sampled_from(IDS), st.sampled_from(rests))
    return [b"".join(each) + b"\r\n\r\n" for each in draw(st.lists(parts, max_size=12))]


def outcome(parser: HeadParser, head: bytes) -> tuple[Any, ...]:
    """Return what a new connection makes of a head: its meaning and what follows, or the refusal."""
    reader = HeadReader(parser, SHARED)
    try:
        return *is_read(reader, head), reader.rest
    except ProtocolError as error:
        return error.status, error.message


@settings(max_examples=600)
@given(heads=proxied())
def test_a_server_reads_each_head_as_it_did_when_it_had_seen_nothing(heads: list[bytes]) -> None:
    parser = HeadParser(FEW)
    for head in heads:
        assert outcome(parser, head) == outcome(HeadParser(FEW), head)


def test_two_blocks_that_are_known_are_accepted_together_only_where_they_may_be() -> None:
    parser = HeadParser(FEW)
    for _ in range(3):
        for opening in OPENINGS:
            for rest in (b"", b"\r\nHost: a"):
                outcome(parser, opening + IDS[0] + rest + b"\r\n\r\n")
        for rest in RESTS:
            outcome(parser, OPENINGS[0] + IDS[0] + rest + b"\r\n\r\n")
    for opening, rest in itertools.product(OPENINGS, RESTS):
        head = opening + IDS[0] + rest + b"\r\n\r\n"
        assert outcome(parser, head) == outcome(HeadParser(FEW), head)


def held_after(heads: Iterable[bytes]) -> int:
    """Return how many bytes a parser holds that has read these heads."""
    tracemalloc.start()
    try:
        parser = HeadParser(LIMITS)
        for head in heads:
            outcome(parser, head)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


NAMED = b"GET / HTTP/1.1\r\nHost: a\r\nX-%b: b\r\n\r\n"
HOSTED = b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n"


def padded(number: int, size: int) -> bytes:
    return b"%d" % number + b"x" * (size - len(b"%d" % number))


@pytest.mark.parametrize("pattern", [NAMED, HOSTED])
@pytest.mark.parametrize(
    "size", [LONGEST_NAME - 2, LONGEST_NAME - 1, LONGEST_HOST, LONGEST_HOST + 1, 4000]
)
def test_names_and_hosts_that_are_remembered_are_bounded_in_number_and_size(
    pattern: bytes, size: int
) -> None:
    heads = (pattern % padded(number, size) for number in range(4 * (NAMES + HOSTS)))
    assert held_after(heads) < 500_000  # of 0.3 to 20 MB


def test_a_name_is_read_the_same_before_and_after_all_were_forgotten() -> None:
    parser = HeadParser(LIMITS)
    first = outcome(parser, NAMED % b"First")
    for number in range(2 * NAMES):
        outcome(parser, NAMED % padded(number, 10))
    assert outcome(parser, NAMED % b"First") == first
    assert first[-2]["HTTP_X_FIRST"] == "b"


def effort(parser: HeadParser, head: bytes) -> int:
    reader = HeadReader(parser, SHARED)
    assert reader.feed(head) is not None
    return reader.effort


def test_a_head_with_new_names_takes_more_to_read_once() -> None:
    parser = HeadParser(LIMITS)
    known = effort(parser, NAMED % b"Forwarded-For")
    assert effort(parser, NAMED % b"New") > known
    assert effort(parser, NAMED % b"New") == known


def test_names_without_end_do_not_make_usual_ones_new() -> None:
    parser = HeadParser(LIMITS)
    head = b"GET / HTTP/1.1\r\nHost: a\r\nuser-agent: b\r\nAccept: c\r\nX-Forwarded-For: d\r\n\r\n"
    usual = effort(parser, head)
    for number in range(3 * NAMES):
        effort(parser, NAMED % padded(number, 10))
        assert effort(parser, head) == usual


def test_what_reading_takes_is_more_where_there_is_more() -> None:
    parser = HeadParser(LIMITS)
    many = b"".join(b"X-%d: b\r\n" % number for number in range(90))
    few = effort(parser, HEADS[0])
    unknown = effort(parser, HEADS[0][:-2] + many + b"\r\n")
    known = effort(parser, HEADS[0][:-2] + many + b"\r\n")
    assert few < known < unknown
    reader = HeadReader(parser, SHARED)
    assert reader.feed(b"GET / HTTP/1.1\r\nX-Long: ") is None
    before = reader.effort
    assert reader.feed(b"x" * 8000) is None
    assert before < reader.effort < known


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
    return transport.data, exchange.status, exchange.ending


@settings(max_examples=400)
@given(
    said=steps(), method=st.sampled_from(("GET", "GET", "HEAD")), minor=st.sampled_from((1, 1, 0))
)
def test_a_request_is_answered_as_the_first_of_its_kind(
    said: list[Step], method: str, minor: int
) -> None:
    def a_request() -> Request:
        return Request(method, "/", "/", "", minor)

    request, headers = a_request(), []
    with pytest.MonkeyPatch.context() as patch:
        for step in said:
            patch.setattr(gateway.time, "time", lambda now=step.now: now)
            assert answered(request, step, headers) == answered(a_request(), step, [])


def test_fields_that_are_not_remembered_are_not_taken_for_those_that_are() -> None:
    short, long = ("X-Size", "small"), ("X-Size", "b" * 600)
    request = Request("GET", "/", "/", "", 1)
    for field in (short, short, long, long, short, long):
        step = Step(1000.0, True, "200 OK", [field], [b"hello"])
        data, *_ = answered(request, step, [])
        assert f"X-Size: {field[1]}\r\n".encode() in data
