"""From bytes to the head of a request (RFC 9112 §2 to §6): what is refused, and why.

No sockets, no clock. ``HeadReader`` is fed bytes in pieces of any size and yields ``Request``
objects; what follows a head stays with the reader. Policy: refuse, never repair. Whatever two
parsers could read differently is answered with an error, and the connection closes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from server import grammar
from server.errors import ProtocolError

# nginx sends at most 4 * 8 KiB of fields by default; with the request line this leaves room.
MAX_HEAD: Final = 64 * 1024

_END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class HeadLimits:
    """Limits on a head: ``line`` and ``field`` in bytes, ``fields`` as a count."""

    line: int
    fields: int
    field: int


@dataclass(slots=True)
class Request:
    """The head of one request.

    Attributes:
        method: the method, case kept.
        target: the request target as sent, decoded as latin-1.
        path: the target's path, percent-decoded, its bytes as latin-1 characters (PEP 3333).
        query: what follows the first ``?``, as sent.
        minor: 0 for HTTP/1.0, 1 for HTTP/1.1.
        variables: the fields under their CGI names, ``HTTP_…`` (RFC 3875 §4.1.18); several
            fields of one name are joined as RFC 9110 §5.3 says.
        content_length: the body's length in bytes; None where there is no such field.
        chunked: the body has the chunked transfer coding.
        keep_alive: the client lets the connection persist (RFC 9112 §9.3).
        expects_continue: the client waits for ``100 Continue`` (RFC 9110 §10.1.1).
    """

    method: str
    target: str
    path: str
    query: str
    minor: int
    variables: dict[str, str]
    content_length: int | None = None
    chunked: bool = False
    keep_alive: bool = True
    expects_continue: bool = False

    @property
    def has_body(self) -> bool:
        return self.chunked or bool(self.content_length)


class HeadReader:
    """Collects bytes until a head is complete.

    Attributes:
        rest: bytes received and not yet used.
    """

    __slots__ = ("_limits", "_scanned", "rest")

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        self._scanned = 0
        self.rest = b""

    def feed(self, data: bytes) -> Request | None:
        """Add bytes; return the next request once its head is complete, else None.

        Raises:
            ProtocolError: the head is refused.
        """
        buffer = self.rest + data if self.rest else data
        if buffer.startswith(b"\r\n"):
            # "a server SHOULD ignore at least one empty line received prior to the
            # request-line" (RFC 9112 §2.2): one, and no more.
            end = buffer.find(_END, 2)
            start = 2
        else:
            end = buffer.find(_END, self._scanned)
            start = 0
        if end < 0:
            self._check_incomplete(buffer, start)
            self.rest = buffer
            self._scanned = max(0, len(buffer) - len(_END) + 1)
            return None
        self.rest = buffer[end + len(_END) :]
        self._scanned = 0
        return parse_head(buffer[start:end], self._limits)

    def _check_incomplete(self, buffer: bytes, start: int) -> None:
        """Refuse early what can no longer become a head, so that nobody waits for a deadline."""
        if grammar.BARE_LF.search(buffer, max(0, self._scanned - 1)):
            raise ProtocolError(400, "a line feed without a carriage return before it")
        line, end_of_line, _ = buffer[start : start + self._limits.line + 2].partition(b"\r\n")
        if end_of_line:
            if self._scanned <= start + len(line) + 1:
                parse_request_line(line, self._limits.line)
        elif len(buffer) - start > self._limits.line + 1:
            raise ProtocolError(414, "the request line is too long")
        if len(buffer) > MAX_HEAD:
            raise ProtocolError(431, "the request's head is too large")


def parse_head(head: bytes, limits: HeadLimits) -> Request:
    """Return the request whose head, without the empty line that ends it, is given.

    Raises:
        ProtocolError: the head is refused.
    """
    if len(head) > MAX_HEAD:
        raise ProtocolError(431, "the request's head is too large")
    request_line, *field_lines = head.split(b"\r\n")
    method, target, major, minor = parse_request_line(request_line, limits.line)
    if len(field_lines) > limits.fields:
        raise ProtocolError(431, "the request has too many fields")
    fields = [parse_field_line(line, limits.field) for line in field_lines]
    path, query, authority = split_target(method, target)
    if len(_values(fields, b"content-type")) > 1:
        raise ProtocolError(400, "more than one Content-Type field")
    request = Request(
        method=method,
        target=target.decode("latin-1"),
        path=unquote_to_bytes(path).decode("latin-1"),
        query=query.decode("latin-1"),
        minor=1 if (major, minor) >= (1, 1) else 0,
        variables=_variables(fields),
    )
    _check_host(request, fields, authority)
    _read_framing(request, fields)
    _read_connection(request, fields)
    return request


def parse_request_line(line: bytes, limit: int) -> tuple[str, bytes, int, int]:
    """Return method, target, and the version's two digits (RFC 9112 §3).

    Raises:
        ProtocolError: 400, 414 or 505.
    """
    if len(line) > limit:
        raise ProtocolError(414, "the request line is too long")
    match = grammar.REQUEST_LINE.fullmatch(line)
    if match is None:
        raise ProtocolError(400, "the request line is malformed")
    method, target, major, minor = match.groups()
    if major != b"1":
        raise ProtocolError(505, "only HTTP/1.1 and HTTP/1.0 are supported")
    return method.decode("ascii"), target, int(major), int(minor)


def parse_field_line(line: bytes, limit: int) -> tuple[bytes, bytes]:
    """Return a field's name, in lower case, and its value (RFC 9112 §5).

    Raises:
        ProtocolError: 400 or 431.
    """
    if len(line) + 2 > limit:  # gunicorn's limit of this name counts the line's end as well
        raise ProtocolError(431, "a field of the request is too large")
    name, colon, value = line.partition(b":")
    if not colon or grammar.FIELD_NAME.fullmatch(name) is None:
        if line[:1] in (b" ", b"\t"):
            raise ProtocolError(400, "a field is continued on a second line (obs-fold)")
        if name.endswith((b" ", b"\t")):
            raise ProtocolError(400, "white space between a field's name and its colon")
        raise ProtocolError(400, "a field line is malformed")
    value = value.strip(b" \t")
    if grammar.NOT_IN_FIELD_VALUE.search(value):
        raise ProtocolError(400, "a control byte in a field's value")
    return name.lower(), value


def split_target(method: str, target: bytes) -> tuple[bytes, bytes, bytes | None]:
    """Return path, query and, of an absolute target, the authority (RFC 9112 §3.2).

    Raises:
        ProtocolError: 400 for a target of no known form, 501 for CONNECT.
    """
    if method == "CONNECT":
        raise ProtocolError(501, "this server is no tunnel: CONNECT is not implemented")
    if b"#" in target:
        raise ProtocolError(400, "the request target has a fragment")
    authority = None
    if target == b"*" and method == "OPTIONS":
        return b"", b"", None
    if not target.startswith(b"/"):
        match = grammar.ABSOLUTE_FORM.fullmatch(target)
        if match is None:
            raise ProtocolError(400, "the request target is of no known form")
        authority, target = match.groups()
        if not target.startswith(b"/"):
            target = b"/" + target
    path, _, query = target.partition(b"?")
    return path, query, authority


def _variables(fields: list[tuple[bytes, bytes]]) -> dict[str, str]:
    variables: dict[str, str] = {}
    for name, value in fields:
        # "X_Real_IP" would become the same variable as "X-Real-IP", and so forge it: names with
        # an underscore are dropped, as nginx does.
        if b"_" in name:
            continue
        variable = "HTTP_" + name.decode("ascii").upper().replace("-", "_")
        text = value.decode("latin-1")
        if variable in variables:
            # "Cookie" is the one field whose members a semicolon separates (RFC 6265 §4.2.1).
            separator = "; " if variable == "HTTP_COOKIE" else ","
            text = variables[variable] + separator + text
        variables[variable] = text
    return variables


def _values(fields: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for each, value in fields if each == name]


def _members(fields: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """Return the members of a list field, in lower case (RFC 9110 §5.6.1)."""
    joined = b",".join(_values(fields, name)).lower()
    return [member for part in joined.split(b",") if (member := part.strip(b" \t"))]


def _check_host(
    request: Request, fields: list[tuple[bytes, bytes]], authority: bytes | None
) -> None:
    """Hold RFC 9112 §3.2: exactly one valid Host in HTTP/1.1, and one opinion about it."""
    hosts = _values(fields, b"host")
    if len(hosts) > 1:
        raise ProtocolError(400, "more than one Host field")
    if not hosts:
        if request.minor:
            raise ProtocolError(400, "no Host field")
    elif grammar.HOST.fullmatch(hosts[0]) is None:
        raise ProtocolError(400, "the Host field is malformed")
    if authority is not None:
        if grammar.HOST.fullmatch(authority) is None:
            raise ProtocolError(400, "the authority of the request target is malformed")
        if hosts and hosts[0].lower() != authority.lower():
            raise ProtocolError(400, "the Host field disagrees with the request target")
        request.variables["HTTP_HOST"] = authority.decode("latin-1")


def _read_framing(request: Request, fields: list[tuple[bytes, bytes]]) -> None:
    """Settle the body's length (RFC 9112 §6); any disagreement is refused."""
    lengths = _values(fields, b"content-length")
    codings = _members(fields, b"transfer-encoding")
    if _values(fields, b"transfer-encoding"):
        if request.minor == 0:
            raise ProtocolError(400, "Transfer-Encoding in an HTTP/1.0 request")
        if lengths:
            raise ProtocolError(400, "both Content-Length and Transfer-Encoding")
        if codings.count(b"chunked") > 1:
            raise ProtocolError(400, "the chunked coding is applied twice")
        if codings[-1:] != [b"chunked"]:
            # "the server MUST respond with the 400 (Bad Request) status code" (RFC 9112 §6.3)
            raise ProtocolError(400, "chunked is not the final transfer coding")
        if codings != [b"chunked"]:
            raise ProtocolError(501, "chunked is the only transfer coding implemented")
        request.chunked = True
    elif lengths:
        if len(lengths) > 1:
            raise ProtocolError(400, "more than one Content-Length field")
        if grammar.CONTENT_LENGTH.fullmatch(lengths[0]) is None:
            raise ProtocolError(400, "the Content-Length field is malformed")
        request.content_length = int(lengths[0])
    elif request.minor == 0 and request.method in ("POST", "PUT"):
        # HTTP/1.0 clients may have meant "until I close" (RFC 1945 §8.3).
        raise ProtocolError(411, "an HTTP/1.0 request of this method needs a Content-Length")


def _read_connection(request: Request, fields: list[tuple[bytes, bytes]]) -> None:
    options = _members(fields, b"connection")
    if request.minor == 0:
        request.keep_alive = b"keep-alive" in options and b"close" not in options
    else:
        request.keep_alive = b"close" not in options
        expectations = _members(fields, b"expect")
        if expectations and expectations != [b"100-continue"]:
            raise ProtocolError(417, "the only expectation that is met is 100-continue")
        request.expects_continue = bool(expectations) and request.has_body
