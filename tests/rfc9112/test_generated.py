"""Generated messages: valid ones are read as what they are, and nothing else does harm."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from urllib.parse import quote_from_bytes

from bascule.errors import ApplicationError
from bascule.http.response import (
    ANNOUNCED,
    STATUS,
    Framing,
    check_head,
    choose_framing,
    serialize_head,
)
from hypothesis import example, given
from hypothesis import strategies as st

from tests.rfc9112.feeding import TRAILING, Outcome, fields_of, read
from tests.rfc9112.strict_reader import read_response

TCHAR = "!#$%&'*+-.^`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SPECIAL = {
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "transfer-encoding",
}

tokens = st.text(TCHAR, min_size=1, max_size=12)
names = tokens.filter(lambda name: name.lower() not in SPECIAL)
white_space = st.text(" \t", max_size=3)
vchars = [chr(code) for code in (*range(0x21, 0x7F), *range(0x80, 0x100))]
values = st.text([*vchars, " ", "\t"], max_size=30).map(lambda value: value.strip(" \t"))


@dataclass(frozen=True)
class Message:
    """A request: its bytes, and what they mean."""

    data: bytes
    method: str
    path: str
    query: str
    variables: dict[str, str]
    chunked: bool
    body: bytes


@st.composite
def pieces_of(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Cut bytes anywhere, any number of times."""
    cuts = draw(st.lists(st.integers(0, len(data)), max_size=8).map(sorted))
    edges = [0, *cuts, len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@st.composite
def chunked_coding(draw: st.DrawFn, body: bytes) -> bytes:
    """Encode a body in chunks of any sizes, with extensions and trailers."""
    wire = b""
    for chunk in draw(pieces_of(body)):
        if not chunk:
            continue
        size = f"{len(chunk):x}"
        size = draw(st.sampled_from([size, size.upper(), "00" + size]))
        extension = draw(st.sampled_from(["", ";a", ";a=b", ';a="b;c"', " ; a = b"]))
        wire += f"{size}{extension}\r\n".encode() + chunk + b"\r\n"
    trailer = draw(st.sampled_from([b"", b"X: y\r\n", b"Digest: a\r\nContent-Length: 3\r\n"]))
    return wire + b"0\r\n" + trailer + b"\r\n"


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Generate valid HTTP/1.1 requests, after the grammar of RFC 9112."""
    method = draw(tokens.filter(lambda token: token != "CONNECT"))
    segments = draw(st.lists(st.binary(max_size=8), max_size=4))
    path = b"/" + b"/".join(segments)
    query = quote_from_bytes(draw(st.binary(max_size=10)), safe="=&?/")
    target = quote_from_bytes(path, safe="/") + (f"?{query}" if query else "")
    variables = {"HTTP_HOST": draw(st.sampled_from(["a", "a.example:80", "[::1]"]))}
    lines = [f"Host: {variables['HTTP_HOST']}"]
    for name, value in draw(st.lists(st.tuples(names, values), max_size=6)):
        variable = "HTTP_" + name.upper().replace("-", "_")
        if variable in variables:
            variables[variable] += "," + value
        else:
            variables[variable] = value
        lines.append(f"{name}:{draw(white_space)}{value}{draw(white_space)}")
    body = draw(st.binary(max_size=60))
    chunked = draw(st.booleans())
    if chunked:
        lines.append("Transfer-Encoding: chunked")
        variables["HTTP_TRANSFER_ENCODING"] = "chunked"
        content = draw(chunked_coding(body))
    else:
        lines.append(f"Content-Length: {len(body)}")
        variables["CONTENT_LENGTH"] = str(len(body))
        content = body
    head = "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""])
    return Message(
        data=head.encode("latin-1") + content,
        method=method,
        path=path.decode("latin-1"),
        query=query,
        variables=variables,
        chunked=chunked,
        body=body,
    )


@given(message=messages(), data=st.data())
def test_a_valid_request_is_read_as_what_it_was_generated_from(
    message: Message, data: st.DataObject
) -> None:
    outcome = read(data.draw(pieces_of(message.data + TRAILING)))

    assert outcome.status is None
    assert outcome.request is not None
    assert outcome.request.method == message.method
    assert outcome.request.path == message.path
    assert outcome.request.query == message.query
    assert fields_of(outcome.environ) == message.variables
    assert outcome.request.chunked == message.chunked
    assert outcome.body == message.body
    assert outcome.rest == TRAILING


@given(message=messages(), data=st.data())
def test_a_request_that_is_cut_off_is_waited_for(message: Message, data: st.DataObject) -> None:
    size = data.draw(st.integers(0, len(message.data) - 1))
    outcome = read(data.draw(pieces_of(message.data[:size])))
    assert outcome.status is None
    assert not outcome.complete


def outcome_with_trailing(expected: Outcome) -> Outcome:
    return replace(expected, rest=expected.rest + TRAILING) if expected.complete else expected


# What requests are made of, so that random messages get past the first byte.
FRAGMENTS = [
    *(b"GET", b"POST", b" ", b"/", b"*", b"http://a", b" HTTP/1.1", b" HTTP/1.0", b" HTTP/2.0"),
    *(b"\r\n", b"\r\n", b"\r\n\r\n", b"\r", b"\n", b":", b": ", b"\t", b"\x00", b"\xff", b"_"),
    *(b"Host: a\r\n", b"Host", b"Content-Length: 3\r\n", b"Content-Length: ", b"abc", b"5"),
    *(b"Transfer-Encoding: chunked\r\n", b"chunked", b"Expect: 100-continue\r\n", b"0\r\n\r\n"),
    *(b"3\r\nabc\r\n", b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nHost: a\r\n", b";a=", b'"'),
]
soup = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=3), max_size=14).map(b"".join)


@given(message=soup | st.binary(max_size=200), data=st.data())
def test_whatever_is_sent_has_one_outcome_however_it_is_cut(
    message: bytes, data: st.DataObject
) -> None:
    expected = read([message])  # raises nothing but what read() knows
    assert read([message[at : at + 1] for at in range(len(message))]) == expected
    assert read(data.draw(pieces_of(message))) == expected
    if expected.complete or expected.status is not None:
        assert read(data.draw(pieces_of(message + TRAILING))) == outcome_with_trailing(expected)


@given(message=messages(), data=st.data())
def test_one_byte_changed_anywhere_has_one_outcome_however_it_is_cut(
    message: Message, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(message.data) - 1))
    changed = message.data[:at] + bytes([data.draw(st.integers(0, 255))]) + message.data[at + 1 :]
    expected = read([changed])
    assert read([changed[each : each + 1] for each in range(len(changed))]) == expected


@given(body=st.binary(max_size=400), data=st.data())
def test_chunks_decode_to_what_was_encoded(body: bytes, data: st.DataObject) -> None:
    head = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    wire = data.draw(chunked_coding(body))
    outcome = read(data.draw(pieces_of(head + wire + TRAILING)))
    assert (outcome.status, outcome.body, outcome.rest) == (None, body, TRAILING)


statuses = st.one_of(
    st.text(max_size=12),
    st.tuples(st.integers(0, 1100), values).map(lambda pair: f"{pair[0]} {pair[1]}"),
    st.sampled_from(["200 OK", "204 No Content", "304 Not Modified", "404 Not Found"]),
)
response_names = st.one_of(
    tokens,
    st.text(max_size=8),
    st.sampled_from(["Content-Length", "content-length", "Date", "Server", "Connection", "X-A"]),
)
response_values = st.one_of(values, st.text(max_size=20), st.integers(0, 99).map(str))


@given(
    status=statuses,
    fields=st.lists(st.tuples(response_names, response_values), max_size=5),
    method=st.sampled_from(["GET", "HEAD"]),
    minor=st.sampled_from([0, 1]),
)
@example("200 OK", [("X-A", "b\r\n\r\nHTTP/1.1 200 OK")], "GET", 1)
@example("200 OK\r\nX: y", [], "GET", 1)
def test_a_response_s_head_is_refused_or_is_exactly_what_was_given(
    status: str, fields: list[tuple[str, str]], method: str, minor: int
) -> None:
    try:
        head = check_head(status, fields)
    except ApplicationError:
        return
    length = head[ANNOUNCED]
    framing = choose_framing(method, minor, head[STATUS], length)
    data = serialize_head(head, framing, length, b"close", 0.0)
    endings = {Framing.LENGTH: b"x" * (length or 0), Framing.CHUNKED: b"0\r\n\r\n"}
    body = endings.get(framing, b"")

    response = read_response(data + body, method)

    assert f"{response.status} {response.reason}" == status
    assert response.rest == b""
    computed = {"connection", "content-length", "transfer-encoding", "date", "server"}
    given_fields = [(name, value.strip(" \t")) for name, value in fields]
    assert [each for each in response.fields if each[0].lower() not in computed] == [
        each for each in given_fields if each[0].lower() not in computed
    ]
    assert len(response.values("date")) == len(response.values("server")) == 1
