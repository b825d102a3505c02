"""Responses: what an application may say, and what goes out for it."""

from __future__ import annotations

import re

import pytest
from bascule.errors import ApplicationError, ProtocolError
from bascule.http.response import (
    ANNOUNCED,
    CONTINUE,
    HOP_BY_HOP,
    LAST_CHUNK,
    Framing,
    check_head,
    choose_framing,
    chunk,
    error_response,
    serialize_head,
)

from tests.rfc9112.strict_reader import read_response

FIELDS = 2  # the place of the field lines in a head
NOW = 784111777.9  # Sun, 06 Nov 1994 08:49:37 GMT, the RFC's own example (RFC 9110 §5.6.7)


@pytest.mark.parametrize(
    "status",
    ["200 OK", "200 ", "404 Not Found", "299 any words", "599 x", "200 caf\xe9"],
)
def test_a_status_is_three_digits_a_space_and_words(status: str) -> None:
    head = check_head(status, [])
    data = serialize_head(head, Framing.LENGTH, 0, None, NOW)
    assert data.startswith(f"HTTP/1.1 {status}\r\n".encode("latin-1"))
    assert read_response(data).status == int(status[:3])


@pytest.mark.parametrize(
    "status",
    [
        "",
        "200",
        "20 OK",
        "2000 OK",
        " 200 OK",
        "OK",
        "200-OK",
        "099 x",
        "000 x",
        "٢٠٠ OK",
        "200 OK\r\nX: y",
        "200 OK\n",
        "200 OK\r",
        "200 OK\x00",
        "200 OK\x7f",
        "200 小",
        "100 Continue",
        "101 Switching Protocols",
        "199 x",
        b"200 OK",
        200,
        None,
    ],
)
def test_any_other_status_is_refused(status: object) -> None:
    with pytest.raises(ApplicationError):
        check_head(status, [])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "b"),
        ("x-a", ""),
        ("X-A", "b\tc"),
        ("X-A", "caf\xe9"),
        ("X_A!#$%&'*+.^`|~", "b"),
        ("Set-Cookie", "a=b; Path=/"),
        ("WWW-Authenticate", "Basic"),
    ],
)
def test_a_field_goes_out_as_it_was_given(name: str, value: str) -> None:
    head = check_head("200 OK", [(name, value)])
    response = read_response(serialize_head(head, Framing.LENGTH, 0, None, NOW))
    assert response.values(name.lower()) == [value]


@pytest.mark.parametrize(
    "fields",
    [
        [("", "b")],
        [("X A", "b")],
        [("X-A ", "b")],
        [("X-A:", "b")],
        [("X\xe9", "b")],
        [("X-小", "b")],
        [("X-A\r\nX-B", "b")],
        [("X-A", "b\r\nX-B: c")],
        [("X-A", "b\nc")],
        [("X-A", "b\rc")],
        [("X-A", "b\r\n")],
        [("X-A", "b\x00")],
        [("X-A", "b\x7f")],
        [("X-A", "b\x1b[2J")],
        [("X-A", "小")],
        [("X-A", "\udc80")],
        [("X-A", b"b")],
        [(b"X-A", "b")],
        [("X-A", 5)],
        [("X-A", None)],
        [("X-A",)],
        [("X-A", "b", "c")],
        [["X-A", "b"]],
        ["X-A: b"],
        [None],
        (("X-A", "b"),),
        {"X-A": "b"},
        iter([("X-A", "b")]),
        None,
        [("Content-Length", "5"), ("content-length", "5")],
        [("Content-Length", "-5")],
        [("Content-Length", "5 ")],
        [("Content-Length", "5, 5")],
        [("Content-Length", "0x5")],
        [("Content-Length", "")],
        [("Content-Length", "²")],
        [("Content-Length", "9" * 19)],
    ],
)
def test_fields_that_break_a_rule_are_refused(fields: object) -> None:
    with pytest.raises(ApplicationError):
        check_head("200 OK", fields)


@pytest.mark.parametrize("field", [("X-A", 5), (b"X-A", "b"), ("X-A", None)])
def test_a_field_of_other_types_is_named(field: object) -> None:
    with pytest.raises(ApplicationError) as refusal:
        check_head("200 OK", [field])
    assert str(refusal.value) == f"a header's name and value must be str, not {field!r}"


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP))
def test_hop_by_hop_fields_are_refused_in_any_case(name: str) -> None:
    for spelled in (name, name.title(), name.upper()):
        with pytest.raises(ApplicationError, match="hop-by-hop"):
            check_head("200 OK", [(spelled, "x")])


def test_the_fields_that_rfc_2616_lists_are_hop_by_hop() -> None:
    # The list of RFC 2616 §13.5.1, which PEP 3333 and wsgiref refer to.
    from wsgiref.util import is_hop_by_hop

    listed = "connection keep-alive proxy-authenticate proxy-authorization te trailers"
    assert {*listed.split(), "transfer-encoding", "upgrade"} <= HOP_BY_HOP
    assert all(is_hop_by_hop(name) or name in HOP_BY_HOP for name in HOP_BY_HOP)


@pytest.mark.parametrize(
    ("method", "minor", "status", "length", "framing"),
    [
        ("GET", 1, 200, 5, Framing.LENGTH),
        ("GET", 1, 200, 0, Framing.LENGTH),
        ("GET", 1, 200, None, Framing.CHUNKED),
        ("GET", 0, 200, 5, Framing.LENGTH),
        ("GET", 0, 200, None, Framing.CLOSE),
        ("HEAD", 1, 200, 5, Framing.NONE),
        ("HEAD", 1, 200, None, Framing.NONE),
        ("HEAD", 0, 200, None, Framing.NONE),
        ("GET", 1, 204, None, Framing.NONE),
        ("GET", 1, 304, 5, Framing.NONE),
        ("GET", 0, 304, None, Framing.NONE),
        ("POST", 1, 404, None, Framing.CHUNKED),
    ],
)
def test_a_body_is_framed_as_rfc_9112_6_3_says(
    method: str, minor: int, status: int, length: int | None, framing: Framing
) -> None:
    assert choose_framing(method, minor, status, length) is framing


def test_the_server_adds_its_own_fields_where_the_application_gave_none() -> None:
    data = serialize_head(check_head("200 OK", []), Framing.LENGTH, 5, b"close", NOW)
    response = read_response(data + b"hello")
    assert response.values("server") == ["bascule"]
    assert response.values("date") == ["Sun, 06 Nov 1994 08:49:37 GMT"]
    assert response.values("connection") == ["close"]
    assert response.values("content-length") == ["5"]
    assert response.body == b"hello"


@pytest.mark.parametrize("times", [1, 2])
def test_an_application_s_own_date_and_server_give_way_to_the_server_s(times: int) -> None:
    head = check_head("200 OK", times * [("date", "then"), ("SERVER", "mine"), ("X-A", "b")])
    response = read_response(serialize_head(head, Framing.LENGTH, 0, None, NOW))
    assert response.values("date") == ["Sun, 06 Nov 1994 08:49:37 GMT"]
    assert response.values("server") == ["bascule"]
    assert response.values("x-a") == times * ["b"]


def test_a_request_id_may_be_given_twice() -> None:
    head = check_head("200 OK", [("X-Request-ID", "one"), ("x-request-id", "two")])
    response = read_response(serialize_head(head, Framing.LENGTH, 0, None, NOW))
    assert response.values("x-request-id") == ["one", "two"]


def test_content_length_is_sent_once_and_as_the_server_knows_it() -> None:
    head = check_head("200 OK", [("CONTENT-LENGTH", "005")])
    assert head[ANNOUNCED] == 5
    response = read_response(serialize_head(head, Framing.LENGTH, 5, None, NOW) + b"hello")
    assert response.values("content-length") == ["5"]


def test_a_length_may_have_eighteen_digits() -> None:
    assert check_head("200 OK", [("Content-Length", "9" * 18)])[ANNOUNCED] == 10**18 - 1


def test_no_content_has_no_length() -> None:
    head = check_head("204 No Content", [("Content-Length", "0")])
    response = read_response(serialize_head(head, Framing.NONE, 0, None, NOW))
    assert response.values("content-length") == []
    assert response.rest == b""


def test_what_follows_the_length_of_no_content_is_sent() -> None:
    fields = [("Content-Length", "0"), ("X-After", "it")]
    assert check_head("204 No Content", fields)[FIELDS] == b"X-After: it\r\n"


def test_what_is_derived_from_str_and_list_is_a_str_and_a_list() -> None:
    class Status(str):
        pass

    class Fields(list[tuple[str, str]]):
        pass

    assert check_head(Status("200 OK"), Fields([("X-A", "b")]))[FIELDS] == b"X-A: b\r\n"


def test_not_modified_may_say_the_length_that_it_leaves_out() -> None:
    head = check_head("304 Not Modified", [("Content-Length", "5")])
    response = read_response(serialize_head(head, Framing.NONE, 5, None, NOW))
    assert response.values("content-length") == ["5"]


def test_chunks_are_read_as_they_were_written() -> None:
    head = serialize_head(check_head("200 OK", []), Framing.CHUNKED, None, None, NOW)
    data = head + chunk(b"a") + chunk(b"b" * 5000) + chunk(b"\r\n0\r\n\r\n") + LAST_CHUNK + b"rest"
    response = read_response(data)
    assert response.body == b"a" + b"b" * 5000 + b"\r\n0\r\n\r\n"
    assert response.rest == b"rest"


def test_the_date_follows_the_clock() -> None:
    def date_at(now: float, status: str = "200 OK") -> str:
        data = serialize_head(check_head(status, []), Framing.LENGTH, 0, None, now)
        return read_response(data).values("date")[0]

    assert date_at(NOW) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert date_at(NOW + 0.05) == date_at(NOW)
    assert date_at(NOW + 1) == "Sun, 06 Nov 1994 08:49:38 GMT"
    assert date_at(NOW, "404 Not Found") == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert date_at(NOW) == "Sun, 06 Nov 1994 08:49:37 GMT"
    second = NOW // 1.0
    assert date_at(second + 0.9) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert date_at(second + 1.2) == "Sun, 06 Nov 1994 08:49:38 GMT"
    assert date_at(second + 2.0) == "Sun, 06 Nov 1994 08:49:39 GMT"


def test_an_empty_answer_says_so_but_no_content() -> None:
    for status, length in (("204 No Content", []), ("205 Reset Content", ["0"])):
        data = serialize_head(check_head(status, []), Framing.LENGTH, 0, None, NOW)
        assert read_response(data).values("content-length") == length


def test_an_interim_response_is_a_status_line_and_nothing_else() -> None:
    assert CONTINUE == b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize("status", [400, 408, 411, 413, 414, 417, 431, 501, 503, 505])
def test_a_refusal_says_in_one_line_what_was_refused_and_closes(status: int) -> None:
    response = read_response(error_response(ProtocolError(status, "no good"), NOW))
    assert response.status == status
    assert response.values("connection") == ["close"]
    assert response.values("content-type") == ["text/plain; charset=utf-8"]
    assert response.values("date") == ["Sun, 06 Nov 1994 08:49:37 GMT"]
    assert re.fullmatch(rf"{status} [A-Za-z -]+: no good\n", response.body.decode())
    assert response.rest == b""
