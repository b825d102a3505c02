"""What docs/http.md cannot say in a row: limits that are set, boundaries, and what is said."""

from __future__ import annotations

import pytest
from bascule.errors import ProtocolError
from bascule.http.field_line import (
    LONGEST_NAME,
    NAMES,
    FieldNames,
    HeadLimits,
    check_length,
)
from bascule.http.head import (
    BYTES,
    EVENT,
    HOSTS,
    LONGEST_HOST,
    MAX_HEAD,
    HeadParser,
    HeadReader,
    Hosts,
)
from bascule.http.head import LINE as LINE_EFFORT

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


def test_past_the_most_bytes_even_a_line_of_one_byte_is_too_many() -> None:
    assert outcome_of(head_of_size(MAX_HEAD) + b"\r\nX\r\n\r\n").status == 431


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"012345678\n0", 400),
        (b"0123456789\n", 400),
        (b"01234567890\n", 431),
        (b"01234567890", 431),
    ],
)
def test_a_line_feed_counts_where_it_comes_before_the_first_byte_too_many(
    line: bytes, status: int
) -> None:
    with pytest.raises(ProtocolError) as refusal:
        check_length(line, 10, 431, "too long")
    assert refusal.value.status == status


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


def test_a_request_of_the_server_as_a_whole_has_no_path_and_no_query() -> None:
    request = outcome_of(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").request
    assert request is not None
    assert (request.target, request.path, request.query) == ("*", "", "")


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


GET = b"GET / HTTP/1.1\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
FOLDED = "a field is continued on a second line (obs-fold)"
SPACE = "white space between a field's name and its colon"
FIELD = "a field line is malformed"
FEED = "a line feed without a carriage return before it"
FORM = "the request target is of no known form"
NOT_FINAL = "chunked is not the final transfer coding"


@pytest.mark.parametrize(
    ("head", "status", "reason"),
    [
        (b"GET /\r\n", 400, "the request line is malformed"),
        (b"GET /\ta HTTP/1.1\r\nHost: a\r\n", 400, "the request line is malformed"),
        (b"GET / HTTP/1.1\nHost: a\r\n", 400, FEED),
        (b"GET / HTTP/2.0\r\n", 505, "only HTTP/1.1 and HTTP/1.0 are supported"),
        (b"GET /#a HTTP/1.1\r\nHost: a\r\n", 400, "the request target has a fragment"),
        (b"GET a HTTP/1.1\r\nHost: a\r\n", 400, FORM),
        (b"GET * HTTP/1.1\r\nHost: a\r\n", 400, FORM),
        (b"OPTIONS *! HTTP/1.1\r\nHost: a\r\n", 400, FORM),
        (
            *(b"GET http://a@b/ HTTP/1.1\r\nHost: a\r\n", 400),
            "the authority of the request target is malformed",
        ),
        (
            *(b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n", 501),
            "this server is no tunnel: CONNECT is not implemented",
        ),
        (GET + b" Host: a\r\n", 400, FOLDED),
        (LINE + b"X: a\r\n b\r\n", 400, FOLDED),
        (LINE + b"X: a\r\n\tb\r\n", 400, FOLDED),
        (LINE + b"X : a\r\n", 400, SPACE),
        (LINE + b"X\t: a\r\n", 400, SPACE),
        (LINE + b"X\r\n", 400, FIELD),
        (LINE + b"(X): a\r\n", 400, FIELD),
        (LINE + b": a\r\n", 400, FIELD),
        (LINE + b"X: a\nY: b\r\n", 400, FEED),
        (LINE + b"X: \x00\r\n", 400, "a control byte in a field's value"),
        (GET + b"X: a\r\n", 400, "no Host field"),
        (GET + b"Host: a b\r\n", 400, "the Host field is malformed"),
        (LINE + b"Host: a\r\n", 400, "more than one Host field"),
        (
            *(b"GET http://b/ HTTP/1.1\r\nHost: a\r\n", 400),
            "the Host field disagrees with the request target",
        ),
        (b"GET http://b/ HTTP/1.1\r\n", 400, "no Host field"),
        (POST + b"Content-Length: x\r\n", 400, "the Content-Length field is malformed"),
        (
            *(POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400),
            "both Content-Length and Transfer-Encoding",
        ),
        (
            *(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", 400),
            "Transfer-Encoding in an HTTP/1.0 request",
        ),
        (
            *(POST + b"Transfer-Encoding: chunked,\r\n", 400),
            "an empty member in Transfer-Encoding",
        ),
        (
            *(POST + b"Transfer-Encoding: chunked, chunked\r\n", 400),
            "the chunked coding is applied twice",
        ),
        (POST + b"Transfer-Encoding: chunked, gzip\r\n", 400, NOT_FINAL),
        (POST + b"Transfer-Encoding: gzip\r\n", 400, NOT_FINAL),
        (
            *(POST + b"Transfer-Encoding: gzip, chunked\r\n", 501),
            "chunked is the only transfer coding implemented",
        ),
        (
            *(b"PUT / HTTP/1.0\r\n", 411),
            "an HTTP/1.0 request of this method needs a Content-Length",
        ),
        (LINE + b"Expect: x\r\n", 417, "the only expectation that is met is 100-continue"),
        (LINE + b"X: " + b"x" * 9000 + b"\r\n", 431, "a field of the request is too large"),
        (LINE + b"X: a\r\n" * 100, 431, "the request has too many fields"),
        (b"GET /" + b"x" * 9000 + b"\r\n", 414, "the request line is too long"),
    ],
)
def test_a_refusal_says_what_is_refused(head: bytes, status: int, reason: str) -> None:
    with pytest.raises(ProtocolError) as refusal:
        HeadReader(HeadParser(LIMITS), {}).feed(head + b"\r\n")
    assert (refusal.value.status, refusal.value.message) == (status, reason)


# --- what is kept, and what it costs -----------------------------------------------------------


def test_names_are_learnt_up_to_a_limit_and_the_usual_ones_stay() -> None:
    names = FieldNames()
    usual = dict(names)
    for number in range(2 * NAMES):
        assert names.parse(b"X-%d: a" % number) == (f"HTTP_X_{number}", "a")
        assert f"\nX-{number}:" in names
        assert len(names) <= NAMES
    assert dict(names).items() >= usual.items()
    assert names["\nhost:"] == "HTTP_HOST"


def test_names_that_are_long_or_dropped_are_not_learnt() -> None:
    names = FieldNames()
    longest = "x" * LONGEST_NAME
    given = (longest, longest + "x", "X_A", "X-Empty")
    for name in given:
        names.parse(f"{name}:".encode())
    assert [f"\n{each}:" in names for each in given] == [True, False, False, True]


def test_hosts_are_kept_up_to_a_limit() -> None:
    hosts = Hosts()
    assert [hosts["a"], hosts["b"], hosts["a"]] == ["a", "b", "a"]
    assert set(hosts) == {"a", "b"}
    hosts.clear()
    for number in range(2 * HOSTS):
        host = f"h{number}"
        assert hosts[host] == host
        assert len(hosts) == number % HOSTS + 1
    longest = "x" * LONGEST_HOST
    assert [hosts[longest], hosts[longest + "x"]] == [longest, longest + "x"]
    assert (longest in hosts, longest + "x" in hosts) == (True, False)
    with pytest.raises(KeyError):
        hosts["a b"]


def test_what_reading_takes_is_told() -> None:
    """A head that is read as a whole takes as much as it has variables, others more."""
    reader = HeadReader(HeadParser(LIMITS), {})
    found = reader.feed(LINE + b"Accept: a\r\n\r\n")
    assert found is not None
    assert reader.effort == len(found[1])
    line = b"X: " + b"x" * (4 * BYTES)
    assert reader.feed(LINE + line + b"\r\n") is None
    assert reader.effort == EVENT + 4 + 3 * LINE_EFFORT
    assert reader.feed(b"Y: z\r\n") is None
    assert reader.effort == EVENT + LINE_EFFORT


UNUSUAL = [
    b"X-Unknown: a\r\nx-unknown-too: b\r\n",
    b"Accept:a\r\nAccept-Language:\tde \r\nX-Unknown:c\r\n",
    b"Accept: a\r\nAccept: b\r\nCookie: c=1\r\nCookie: d=2\r\nX_Dropped: e\r\nX_Dropped: f\r\n",
    b"Accept:\r\nX-Unknown:\r\n",
]


@pytest.mark.parametrize("lines", UNUSUAL)
def test_lines_that_are_unusual_mean_the_same_whole_and_in_pieces(lines: bytes) -> None:
    head = LINE + lines + b"\r\n"
    reader = HeadReader(HeadParser(LIMITS), {})
    for _ in range(2):  # the second time its names are known
        whole = reader.feed(head)
        assert whole is not None
        pieces = [HeadReader(HeadParser(LIMITS), {}).feed(head)]
        byte_by_byte = HeadReader(HeadParser(LIMITS), {})
        pieces += [byte_by_byte.feed(head[at : at + 1]) for at in range(len(head))][-1:]
        assert pieces == [whole, whole]


@pytest.mark.parametrize(
    ("lines", "looked_at"),
    [(UNUSUAL[0], 2), (UNUSUAL[1], 3), (UNUSUAL[2], 2 + UNUSUAL[2].count(b"\r\n") + 1)],
)
def test_lines_that_are_looked_at_by_themselves_take_more(lines: bytes, looked_at: int) -> None:
    reader = HeadReader(HeadParser(LIMITS), {})
    found = reader.feed(LINE + lines + b"\r\n")
    assert found is not None
    assert reader.effort == len(found[1]) + LINE_EFFORT * looked_at
    found = reader.feed(LINE + b"\r\n")
    assert found is not None
    assert reader.effort == len(found[1])


@pytest.mark.parametrize(
    "lines",
    [b"Accept: a\rX: b\n", b"Accept: a\r\rX: b\n\n", b"X-Unknown: a\rb\r\nAccept: c\nd\r\n"],
)
def test_a_bare_cr_or_lf_is_refused_among_unusual_lines_too(lines: bytes) -> None:
    with pytest.raises(ProtocolError):
        HeadReader(HeadParser(LIMITS), {}).feed(LINE + b"X-New: y\r\n" + lines + b"\r\n\r\n")


def test_a_request_is_no_other_thing() -> None:
    request = read([LINE + b"\r\n"]).request
    assert (request == read([LINE + b"\r\n"]).request) is True
    assert (request == "GET / HTTP/1.1") is False


def test_the_page_means_what_its_notation_says() -> None:
    assert page.unescape(r"a\r\n\t\\\x00{ab*3}{\r\n*2}") == b"a\r\n\t\\\x00ababab\r\n\r\n"
