"""A reader of responses that forgives nothing; it shares no code with the server."""

from __future__ import annotations

from dataclasses import dataclass

_TCHAR = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_TEXT = frozenset({9, *range(0x20, 0x7F), *range(0x80, 0x100)})


class NotStrict(Exception):  # noqa: N818  # a verdict, not a mistake
    """The bytes are not what RFC 9112 lets a server send."""


@dataclass(frozen=True)
class Response:
    """One response.

    Attributes:
        status: the status code.
        reason: the reason phrase.
        fields: name and value of each field, in order.
        body: decoded.
        rest: what follows it.
    """

    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes
    rest: bytes

    def values(self, name: str) -> list[str]:
        return [value for each, value in self.fields if each.lower() == name]


def read_response(data: bytes, method: str = "GET") -> Response:
    """Return the one response that the bytes begin with.

    Raises:
        NotStrict: they begin with none.
    """
    lines, rest = _head_lines(data)
    status, reason = _status_line(lines[0])
    fields = [_field(line) for line in lines[1:]]
    response = Response(status, reason, fields, b"", rest)
    lengths = response.values("content-length")
    codings = response.values("transfer-encoding")
    for name in ("content-length", "transfer-encoding", "date", "server", "connection"):
        _require(len(response.values(name)) <= 1, f"two of {name}")
    _require(not (lengths and codings), "a length and a coding")
    if method == "HEAD" or status in (204, 304):
        return response
    if codings:
        _require(codings == ["chunked"], "a coding that is not chunked")
        body, rest = _chunks(rest)
    elif lengths:
        _require(lengths[0].isascii() and lengths[0].isdigit(), "a length that is no number")
        size = int(lengths[0])
        _require(len(rest) >= size, "less than its length")
        body, rest = rest[:size], rest[size:]
    else:
        _require(response.values("connection") == ["close"], "no end to the body")
        body, rest = rest, b""
    return Response(status, reason, fields, body, rest)


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise NotStrict(otherwise)


def _head_lines(data: bytes) -> tuple[list[bytes], bytes]:
    head, end, rest = data.partition(b"\r\n\r\n")
    _require(bool(end), "a head without an end")
    lines = head.split(b"\r\n")
    for line in lines:
        _require(set(line) <= _TEXT, "a control byte in the head")
    return lines, rest


def _status_line(line: bytes) -> tuple[int, str]:
    version, code, reason = line[:9], line[9:12], line[12:]
    _require(version == b"HTTP/1.1 ", "another version")
    _require(len(code) == 3 and code.isdigit() and reason[:1] == b" ", "no status")
    _require(200 <= int(code) <= 999, "no final status")
    return int(code), reason[1:].decode("latin-1")


def _field(line: bytes) -> tuple[str, str]:
    name, colon, value = line.partition(b":")
    _require(bool(colon) and bool(name) and set(name) <= _TCHAR, "no field name")
    return name.decode("ascii"), value.strip(b" \t").decode("latin-1")


def _chunks(data: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size_line, end, data = data.partition(b"\r\n")
        _require(bool(end) and bool(size_line), "no chunk size")
        _require(set(size_line) <= set(b"0123456789abcdefABCDEF"), "no chunk size")
        size = int(size_line, 16)
        _require(data[size : size + 2] == b"\r\n", "a chunk of another size")
        body, data = body + data[:size], data[size + 2 :]
        if size == 0:
            return body, data
