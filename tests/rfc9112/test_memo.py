"""What is remembered of earlier requests and responses never changes what a later one means."""

from __future__ import annotations

import tracemalloc
import weakref

import pytest
from bascule.errors import ApplicationError
from bascule.http.field_line import HeadLimits
from bascule.http.memo import ENTRIES, LONGEST, PATIENCE, Memo
from bascule.http.request import Request
from bascule.http.response import Framing, check_head, serialize_head

from tests.rfc9112.feeding import LIMITS, Outcome, read

OFTEN = PATIENCE * 2 + 3


class Squares(Memo[int, int]):
    """Remembers squares, and counts how often it was asked for one it did not know."""

    def __init__(self, size: int = 1) -> None:
        super().__init__()
        self.misses = 0
        self.kept: list[bool] = []
        self._size = size

    def __missing__(self, number: int) -> int:
        self.misses += 1
        self.kept.append(self.remember("name", number, number * number, self._size))
        return number * number


def head(field: bytes, target: bytes = b"/") -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % (target, field)


def unused_limits() -> HeadLimits:
    """Return limits that differ from all others, and so share no memo."""
    unused_limits.count += 1  # type: ignore[attr-defined]
    return LIMITS._replace(field=LIMITS.field + unused_limits.count)  # type: ignore[attr-defined]


unused_limits.count = 0  # type: ignore[attr-defined]


def request_of(outcome: Outcome) -> Request:
    assert outcome.request is not None
    return outcome.request


def test_what_was_asked_for_is_not_worked_out_again() -> None:
    squares = Squares()
    assert [squares[3], squares[3], squares[3]] == [9, 9, 9]
    assert squares.misses == 1


def test_a_name_whose_values_never_repeat_stops_being_remembered() -> None:
    squares = Squares()
    assert [squares[number] for number in range(OFTEN)] == [n * n for n in range(OFTEN)]
    assert squares.kept == [True] * PATIENCE + [False] * (OFTEN - PATIENCE)
    assert len(squares) == PATIENCE


@pytest.mark.parametrize(("size", "misses"), [(LONGEST, 1), (LONGEST + 1, 2)])
def test_what_is_large_is_not_remembered(size: int, misses: int) -> None:
    squares = Squares(size)
    assert [squares[3], squares[3]] == [9, 9]
    assert squares.misses == misses


def test_the_number_of_entries_is_bounded() -> None:
    memo: Memo[int, int] = Memo()
    for number in range(ENTRIES * 2 + 10):
        memo.remember(number, number, number, 1)
        assert len(memo) <= ENTRIES


def test_after_many_names_others_are_remembered() -> None:
    memo: Memo[int, int] = Memo()
    for number in range(3 * ENTRIES):
        memo.remember(number, number, number, LONGEST + 1)
    for number in range(10):
        memo.remember(number, number, number, 1)
    assert set(memo) == set(range(10))


def test_many_values_of_few_names_are_bounded_too() -> None:
    memo: Memo[int, int] = Memo()
    for number in range(ENTRIES * 2 + 10):
        memo.remember(number // PATIENCE, number, number, 1)
        assert len(memo) <= ENTRIES


def test_long_names_take_no_room() -> None:
    """One that is looked up once and never again must not stay."""
    memo: Memo[bytes, int] = Memo()
    tracemalloc.start()
    try:
        for number in range(1000):
            line = b"%08d" % number * 1000
            memo.remember(line, line, number, len(line))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 500_000  # the names have 8 MB


@pytest.mark.parametrize(
    ("field", "variable", "value"),
    [
        (b"X-Same: b", "HTTP_X_SAME", "b"),
        (b"X-Tight:b", "HTTP_X_TIGHT", "b"),
        (b"X-Tight: b: c", "HTTP_X_TIGHT", "b: c"),
        (b"X-Tight:b: c", "HTTP_X_TIGHT", "b: c"),
        (b"X-Long: " + b"b" * LONGEST, "HTTP_X_LONG", "b" * LONGEST),
        (b"X-Long:" + b"b" * LONGEST, "HTTP_X_LONG", "b" * LONGEST),
        (b"X-Long:" + b"b" * LONGEST + b": c", "HTTP_X_LONG", "b" * LONGEST + ": c"),
        (b"X-Blank:  \t b \t ", "HTTP_X_BLANK", "b"),
        (b"X-Bang: !b!", "HTTP_X_BANG", "!b!"),
        (b"X-Empty:", "HTTP_X_EMPTY", ""),
        (b"X-Empty: ", "HTTP_X_EMPTY", ""),
        (b"Content-Type: text/plain", "CONTENT_TYPE", "text/plain"),
    ],
)
def test_the_same_line_means_the_same_however_often_it_comes(
    field: bytes, variable: str, value: str
) -> None:
    limits = unused_limits()
    seen = {read([head(field)], limits).environ[variable] for _ in range(OFTEN)}
    assert seen == {value}


@pytest.mark.parametrize("separator", [b": ", b":", b":\t", b":  ", b":x: ", b": x: "])
def test_values_that_never_repeat_are_still_read_in_full(separator: bytes) -> None:
    limits = unused_limits()
    prefix = separator[1:].lstrip(b" \t").decode()
    for number in range(OFTEN):
        outcome = read([head(b"X-Id%b%d" % (separator, number))], limits)
        assert outcome.environ["HTTP_X_ID"] == f"{prefix}{number}"


@pytest.mark.parametrize(
    ("last", "status"),
    [
        (b"b\x00", 400),
        (b"b\x7f", 400),
        (b"b\rc", 400),
        (b"b\nc", 400),
        (b"b\r\n c", 400),
        (b"b" * 9000, 431),
    ],
)
def test_a_name_that_is_well_known_does_not_excuse_its_value(last: bytes, status: int) -> None:
    limits = unused_limits()
    for number in range(OFTEN):
        assert read([head(b"X-Id: %d" % number)], limits).complete
    assert read([head(b"X-Id: " + last)], limits).status == status


def test_a_name_that_is_well_known_still_needs_its_colon() -> None:
    limits = unused_limits()
    for number in range(OFTEN):
        assert read([head(b"X-Id: %d" % number)], limits).complete
    assert read([head(b"X-Id")], limits).status == 400


@pytest.mark.parametrize(
    "last", ["caf\xe9", "b\tc", "b\xa0", "\xa0b", "\x85b\x85", "b\xad", "\xff"]
)
def test_text_beyond_ascii_means_the_same_under_a_name_that_is_well_known(last: str) -> None:
    limits = unused_limits()
    for number in range(OFTEN):
        assert read([head(b"X-Id: %d" % number)], limits).complete
    outcome = read([head(b"X-Id: " + last.encode("latin-1"))], limits)
    assert outcome.environ["HTTP_X_ID"] == last


@pytest.mark.parametrize(
    ("often", "last", "status"),
    [
        (b"Host: h%d", b"Host: h h", 400),
        (b"Host: h%d", b"Host: h\r\nHost: h", 400),
        (b"Content-Length: %d", b"Content-Length: +5", 400),
        (b"Content-Length: %d", b"Content-Length: 5\r\nContent-Length: 5", 400),
        (b"Transfer-Encoding:x: %d", b"Transfer-Encoding:x: chunked", 400),
        (b"Transfer-Encoding: x%d", b"Transfer-Encoding: chunked, x", 400),
        (b"Expect: x%d", b"Expect: 101-continue", 417),
    ],
)
def test_fields_that_decide_are_checked_however_many_came_before(
    often: bytes, last: bytes, status: int
) -> None:
    limits = unused_limits()
    start = b"GET / HTTP/1.1\r\n" + (b"" if b"Host" in often else b"Host: a\r\n")
    for number in range(OFTEN):
        read([start + often % number + b"\r\n\r\n"], limits)
    assert read([start + last + b"\r\n\r\n"], limits).status == status


def test_an_underscored_name_is_dropped_however_often_it_comes() -> None:
    limits = unused_limits()
    for number in range(OFTEN):
        environ = read([head(b"X_Id: %d" % number)], limits).environ
        assert "HTTP_HOST" in environ
        assert not {"", "HTTP_X_ID"} & set(environ)


@pytest.mark.parametrize(
    "target", [b"/a", b"/a?b=c", b"/" + b"a" * LONGEST, b"http://a/b", b"/%41"]
)
def test_the_same_request_line_means_the_same_however_often_it_comes(target: bytes) -> None:
    limits = unused_limits()
    first = request_of(read([head(b"X: y", target)], limits))
    for _ in range(OFTEN):
        assert request_of(read([head(b"X: y", target)], limits)) == first


def test_limits_of_one_server_are_not_those_of_another() -> None:
    message = head(b"X-Limits: " + b"b" * 100)
    assert read([message], LIMITS._replace(field=1000)).complete
    assert read([message], LIMITS._replace(field=50)).status == 431
    assert read([message], LIMITS._replace(field=1000)).complete


def sent(fields: list[tuple[str, str]]) -> bytes:
    return serialize_head(check_head("200 OK", fields), Framing.LENGTH, 0, None, 0.0)


@pytest.mark.parametrize(
    "last",
    ["b\r\nX-B: c", "b\n", "b\x00", "b\x7f", "小", "\udc80"],
)
def test_a_response_s_well_known_name_does_not_excuse_its_value(last: str) -> None:
    for number in range(OFTEN):
        assert b"X-Response-Id: %d\r\n" % number in sent([("X-Response-Id", str(number))])
    with pytest.raises(ApplicationError):
        check_head("200 OK", [("X-Response-Id", last)])


@pytest.mark.parametrize("last", ["caf\xe9", "b\tc", "", "b" * LONGEST])
def test_a_response_s_value_goes_out_in_full_under_a_well_known_name(last: str) -> None:
    for number in range(OFTEN):
        sent([("X-Response-Text", str(number))])
    assert f"X-Response-Text: {last}\r\n".encode("latin-1") in sent([("X-Response-Text", last)])


def test_lengths_are_looked_at_however_many_came_before() -> None:
    for number in range(OFTEN):
        checked = check_head("200 OK", [("Content-Length", str(number))])
        assert checked[3] == number
        assert b"Content-Length: %d\r\n" % number in serialize_head(
            checked, Framing.LENGTH, number, None, 0.0
        )
    with pytest.raises(ApplicationError):
        check_head("200 OK", [("Content-Length", "+5")])


def test_names_of_which_an_application_has_many_are_not_kept_for_ever() -> None:
    class Name(str):
        """One that can be seen to go."""

    def send(name: str) -> None:
        for number in range(OFTEN):
            check_head("200 OK", [(name, str(number))])

    name = Name("X-First")
    kept = weakref.ref(name)
    send(name)
    del name
    for number in range(ENTRIES):
        send(f"X-Response-{number}")
    assert kept() is None


@pytest.mark.parametrize("name", ["Connection", "Transfer-Encoding"])
def test_a_hop_by_hop_field_is_refused_however_often_it_is_tried(name: str) -> None:
    for number in range(OFTEN):
        with pytest.raises(ApplicationError):
            check_head("200 OK", [(name, f"x{number}")])


def test_a_status_is_checked_however_many_came_before() -> None:
    for number in range(OFTEN):
        assert check_head(f"299 reason {number}", [])[0] == 299
    with pytest.raises(ApplicationError):
        check_head("299 reason\r\nX: y", [])


def test_equal_keys_of_other_types_are_checked_for_themselves() -> None:
    check_head("200 OK", [("X-Typed", "5")])
    for field in (("X-Typed", 5), ("X-Typed", b"5"), ["X-Typed", "5"], ("X-Typed",)):
        with pytest.raises(ApplicationError):
            check_head("200 OK", [field])


@pytest.mark.parametrize(
    "field", ["ab", frozenset("ab"), ("a", 5), ("a", b"b"), ("a",), ("a", "b", "c")]
)
def test_under_a_response_s_well_known_name_only_a_tuple_of_two_str_goes_out(field: object) -> None:
    for number in range(OFTEN):
        check_head("200 OK", [("a", str(number)), ("b", str(number))])
    with pytest.raises(ApplicationError):
        check_head("200 OK", [field])
