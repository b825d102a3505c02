"""What docs/http.md cannot say in a row: limits that are set, boundaries, and what is said."""

from __future__ import annotations

import pytest
from bascule.errors import ProtocolError
from bascule.http.field_line import HeadLimits
from bascule.http.head import MAX_HEAD, HeadParser, HeadReader

from tests.rfc9112 import page
from tests.rfc9112.feeding import LIMITS, outcome_of, read

LINE = b"GET / HTTP/1.1\r\nHost: a\r\n"
SMALL = HeadLimits(line=20, fields=3, field=12)


def head_of_size(size: int) -> bytes:
    """Return a head of this many bytes, without the empty line that ends it."""
    head = LINE.removesuffix(b"\r\n")
    filler = b"\r\nX: " + b"x" * 8000
    while size - len(head) > 2 * len(filler):
        head += filler
    for _ in range(2):
        room = size - len(head) - 5
        head += b"\r\nX: " + b"x" * min(room, 8000)
    head += b"\r\nY: " + b"y" * (size - len(head) - 5) if len(head) < size else b""
    assert len(head) == size
    return head


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"GET /56789 HTTP/1.1\r\nHost: a\r\n\r\n", None),
        (b"GET /567890 HTTP/1.1\r\nHost: a\r\n\r\n", None),
        (b"GET /567890a HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: 4567890\r\n\r\n", None),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: 45678901\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX:\r\nY:\r\n\r\n", None),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX:\r\nY:\r\nZ:\r\n\r\n", 431),
    ],
)
def test_limits_are_those_that_were_set(message: bytes, status: int | None) -> None:
    assert outcome_of(message, SMALL).status == status


@pytest.mark.parametrize("prefix", [b"", b"\r\n"])
def test_a_head_of_exactly_the_most_bytes_is_accepted_however_it_is_cut(prefix: bytes) -> None:
    assert outcome_of(prefix + head_of_size(MAX_HEAD) + b"\r\n\r\n").complete


def test_a_head_of_one_byte_more_is_refused_however_it_is_cut() -> None:
    assert outcome_of(head_of_size(MAX_HEAD + 1) + b"\r\n\r\n").status == 431


def test_a_head_that_never_ends_is_refused_before_it_ends() -> None:
    assert outcome_of(head_of_size(MAX_HEAD + 5)).status == 431


@pytest.mark.parametrize(
    "message",
    [
        b"GET /\n" + b"x" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        LINE + b"X: " + b"x" * 9000 + b"\r\nY: \n\r\n\r\n",
        LINE + b"X: a\r\n" * 101 + b"Y: \n\r\n\r\n",
        b"GET HTTP/1.1\r\nHost: a\r\n" + (b"X: " + b"x" * 8000 + b"\r\n") * 10 + b"\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nX: \n\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: a\nb\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: a\nb",
        b"GET /\r\n\nX",
        LINE + b"X\r\nY: \n",
        LINE + b"X: a\r\n b\r\nY: \n\r\n",
    ],
)
def test_of_two_mistakes_the_same_is_answered_however_the_bytes_are_cut(message: bytes) -> None:
    assert outcome_of(message).status is not None


@pytest.mark.parametrize(
    "section",
    [
        b"X: " + b"x" * 9000 + b"\nY: z\r\n\r\n",
        b"X: \n" + b"x" * 9000 + b"\r\n\r\n",
        b"X: a\r\n" * 100 + b"Y: \n\r\n\r\n",
    ],
)
def test_of_two_mistakes_in_a_trailer_the_same_is_answered(section: bytes) -> None:
    framing = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    assert outcome_of(framing + section).status in {400, 431}


def test_requests_that_arrive_together_are_read_one_after_the_other() -> None:
    reader = HeadReader(HeadParser(LIMITS), {})
    together = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(3))

    first = reader.feed(together + b"GET /3")
    others = [reader.feed(b""), reader.feed(b""), reader.feed(b"")]

    assert first is not None
    assert first[0].path == "/0"
    assert [each[0].path if each else None for each in others] == ["/1", "/2", None]
    assert reader.rest == b"GET /3"
    last = reader.feed(b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert last is not None
    assert (last[0].path, reader.rest) == ("/3", b"")


def test_an_empty_line_may_stand_between_two_requests() -> None:
    # "an HTTP/1.1 user agent MUST NOT preface or follow a request with an extra CRLF", but some
    # sent one after a body (RFC 9112 §2.2).
    reader = HeadReader(HeadParser(LIMITS), {})
    first = reader.feed(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
    second = reader.feed(b"")
    assert first is not None
    assert second is not None
    assert (first[0].path, second[0].path) == ("/1", "/2")


def test_two_requests_do_not_share_their_fields() -> None:
    message = LINE + b"X-A: b\r\n\r\n"
    first, second = read([message]), read([message])
    first.environ["HTTP_X_A"] = "changed"
    assert second.environ["HTTP_X_A"] == "b"


@pytest.mark.parametrize(
    "message",
    [
        b"canary / HTTP/1.1 canary\r\n\r\n",
        b"GET canary HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: canary canary\r\n\r\n",
        LINE + b"canary\r\n\r\n",
        LINE + b"canary : b\r\n\r\n",
        LINE + b"X: canary\x00\r\n\r\n",
        LINE + b"Content-Length: canary\r\n\r\n",
        LINE + b"Transfer-Encoding: canary\r\n\r\n",
        LINE + b"Expect: canary\r\n\r\n",
        b"GET / HTTP/2.0\r\nX: canary\r\n\r\n",
    ],
)
def test_a_refusal_repeats_nothing_of_what_was_sent(message: bytes) -> None:
    with pytest.raises(ProtocolError) as refusal:
        HeadReader(HeadParser(LIMITS), {}).feed(message)
    assert "canary" not in refusal.value.message
    assert refusal.value.message.isprintable()


def test_the_page_means_what_its_notation_says() -> None:
    assert page.unescape(r"a\r\n\t\\\x00{ab*3}{\r\n*2}") == b"a\r\n\t\\\x00ababab\r\n\r\n"
