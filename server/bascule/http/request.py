"""From bytes to the head of a request (RFC 9112 §2 to §6): what is refused, and why.

No sockets, no clock. ``HeadReader`` is fed bytes in pieces of any size and yields ``Request``
objects; what follows a head stays with the reader. Policy: refuse, never repair. Whatever two
parsers could read differently is answered with an error, and the connection closes.

Most lines of a request have been seen before, byte for byte: the same browser, the same proxy,
the same few paths. ``memo`` keeps what they were parsed to, so that the usual request is a few
look-ups; docs/performance.md has the figures.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from bascule.errors import ProtocolError
from bascule.http import grammar
from bascule.http.head_memo import HeadMemo
from bascule.http.memo import ENTRIES, LONGEST, Memo

# nginx sends at most 4 * 8 KiB of fields by default; with the request line this leaves room.
MAX_HEAD: Final = 64 * 1024

# A connection remembers the last head if it has no more bytes than this: health checks, and other
# services, send the same over and over. What a proxy sends is longer, and has something in it that
# never repeats.
SHORT_HEAD: Final = 256

_END: Final = b"\r\n\r\n"
_LINE_TOO_LONG: Final = "the request line is too long"
_FIELD_TOO_LARGE: Final = "a field of the request is too large"


class HeadLimits(NamedTuple):
    """Limits on a head: ``line`` and ``field`` in bytes, ``fields`` as a count."""

    line: int
    fields: int
    field: int


class RequestLine:
    """A request line, parsed (RFC 9112 §3).

    Attributes:
        method: the method, case kept.
        target: the request target as sent, decoded as latin-1.
        path: the target's path, percent-decoded, its bytes as latin-1 characters (PEP 3333).
        query: what follows the first ``?``, as sent.
        minor: 0 for HTTP/1.0, 1 for HTTP/1.1.
        authority: that of an absolute target, else None.
        variables: the same under their CGI names (RFC 3875 §4.1).
    """

    __slots__ = ("authority", "method", "minor", "path", "query", "target", "variables")

    def __init__(
        self,
        method: str,
        target: str,
        path: str,
        query: str,
        minor: int,
        *,
        authority: bytes | None = None,
    ) -> None:
        self.method = method
        self.target = target
        self.path = path
        self.query = query
        self.minor = minor
        self.authority = authority
        self.variables = {
            "REQUEST_METHOD": method,
            "SERVER_PROTOCOL": f"HTTP/1.{minor}",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "RAW_URI": target,
        }

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RequestLine):
            return NotImplemented
        return (self.variables, self.authority) == (other.variables, other.authority)

    __hash__ = None  # type: ignore[assignment]


class Request:
    """What the server itself has to know of one request's head; the same for all that are alike.

    Args:
        line: its request line.

    Attributes:
        content_length: the body's length in bytes; None where there is no such field.
        chunked: the body has the chunked transfer coding.
        keep_alive: the client lets the connection persist (RFC 9112 §9.3).
        expects_continue: the client waits for ``100 Continue`` (RFC 9110 §10.1.1).
        answer: the gateway's note of the last response to such a request; the parser never looks.
    """

    __slots__ = ("answer", "chunked", "content_length", "expects_continue", "keep_alive", "line")

    def __init__(self, line: RequestLine) -> None:
        self.line = line
        self.content_length: int | None = None
        self.chunked = False
        self.keep_alive = True
        self.expects_continue = False
        self.answer: Any = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Request):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]


# A request's environ: what the connection's requests have in common, the request line's variables,
# and the fields under their CGI names: ``CONTENT_TYPE``, ``CONTENT_LENGTH`` and ``HTTP_…``
# (RFC 3875 §4.1); several fields of one name are joined (RFC 9110 §5.3).
Environ = dict[str, Any]


class HeadReader:
    """Collects bytes until a head is complete.

    A head that comes in one piece and is right is parsed at once. Any other is read line by line,
    each as soon as it is complete, so that what is refused, and with which status, never depends
    on how the bytes were cut.

    Args:
        parser: reads complete heads.
        shared: what all requests have in their environ.

    Attributes:
        rest: bytes received and not yet used.
    """

    __slots__ = (
        "_find_known",
        "_found",
        "_last",
        "_lines",
        "_parser",
        "_position",
        "_shared",
        "_start",
        "rest",
    )

    def __init__(self, parser: HeadParser, shared: Environ) -> None:
        self._parser = parser
        self._find_known = parser.find_known
        self._last = b""  # a short head, the last one that came
        self._found: tuple[Request, Environ] | None = None  # in it, if it has come twice
        self._shared = shared
        self.rest = b""
        self._begin()

    def _begin(self) -> None:
        self._start = 0  # where the request line begins, in what is collected
        self._position = 0  # where the first incomplete line begins
        self._lines = 0  # complete lines so far

    def feed(self, data: bytes) -> tuple[Request, Environ] | None:
        """Add bytes; return the next request once its head is complete, else None.

        Raises:
            ProtocolError: the head is refused.
        """
        if not self.rest:
            if data == self._last and self._found is not None:
                request, environ = self._found
                return request, environ.copy()
            if data[-4:] == _END and len(data) <= MAX_HEAD:
                known = self._find_known(self._shared, data)
                if known is not None:
                    return known
                try:
                    return self._read_whole(data)
                except ProtocolError:
                    pass  # there is more than one head, or reading by line tells what is wrong
        buffer = self.rest + data
        head_end = self._read_lines(buffer)
        if head_end is None:
            self.rest = buffer
            return None
        self.rest = buffer[head_end + len(_END) :]
        head = buffer[self._start : head_end]
        self._begin()
        lines = head.split(b"\r\n")
        return self._parser.parse(self._shared, lines[0], lines[1:])

    def _read_whole(self, head: bytes) -> tuple[Request, Environ]:
        """Parse a head that came in one piece, and keep what may come again."""
        lines = head.split(b"\r\n")
        request, environ = self._parser.parse(self._shared, lines[0], lines[1:-2])
        self._parser.note(head, lines[0], request)
        if head == self._last:
            self._found = request, environ.copy()
        elif len(head) <= SHORT_HEAD:
            self._last = head
            self._found = None
        return request, environ

    def _read_lines(self, buffer: bytes) -> int | None:
        """Check the lines that are complete now; return where the head's last one ends, if here."""
        while True:
            end = buffer.find(b"\r\n", self._position)
            if end < 0:
                self._check_length(buffer[self._position :].removesuffix(b"\r"))
                return None
            line = buffer[self._position : end]
            if line:
                self._check_length(line)
                self._parser.check_line(line, self._lines)
                self._lines += 1
            elif self._lines:
                return end - len(b"\r\n")
            elif self._position:
                raise ProtocolError(400, "more than one empty line before the request line")
            else:
                # "a server SHOULD ignore at least one empty line received prior to the
                # request-line" (RFC 9112 §2.2): one, and no more.
                self._start = len(b"\r\n")
            self._position = end + len(b"\r\n")

    def _check_length(self, line: bytes) -> None:
        room = max(0, MAX_HEAD - (self._position - self._start))
        if self._lines:
            limit = min(room, field_room(self._parser.limits))
            check_length(line, limit, 431, _FIELD_TOO_LARGE)
        else:
            check_length(line, self._parser.limits.line, 414, _LINE_TOO_LONG)


def check_length(line: bytes, limit: int, status: int, message: str) -> None:
    """Refuse a line, or the beginning of one, for its length or for a bare line feed within it.

    Args:
        line: without its end.
        limit: bytes that it may have.
        status: for one that has more.
        message: for one that has more.

    Raises:
        ProtocolError: as told, or 400 for a line feed that comes before the limit.
    """
    if line.find(b"\n", 0, limit + 1) >= 0:
        raise ProtocolError(400, "a line feed without a carriage return before it")
    if len(line) > limit:
        raise ProtocolError(status, message)


def field_room(limits: HeadLimits) -> int:
    """Return how many bytes a field line may have; the limit of gunicorn's counts its end too."""
    return limits.field - len(b"\r\n")


def parse_request_line(line: bytes, limit: int) -> RequestLine:
    """Return the parts of a request line (RFC 9112 §3).

    Raises:
        ProtocolError: 400, 414, 501 or 505.
    """
    check_length(line, limit, 414, _LINE_TOO_LONG)
    match = grammar.REQUEST_LINE.fullmatch(line)
    if match is None:
        raise ProtocolError(400, "the request line is malformed")
    method, target, major, minor = match.groups()
    if major != b"1":
        raise ProtocolError(505, "only HTTP/1.1 and HTTP/1.0 are supported")
    path, query, authority = _split_target(method, target)
    return RequestLine(
        method=method.decode("ascii"),
        target=target.decode("latin-1"),
        path=_percent_decoded(path).decode("latin-1"),
        query=query.decode("latin-1"),
        minor=0 if minor == b"0" else 1,
        authority=authority,
    )


def _percent_decoded(path: bytes) -> bytes:
    """Return a path's bytes; what is no percent-encoding, such as ``%`` or ``%x``, stays."""
    return grammar.PCT_ENCODED.sub(lambda match: bytes.fromhex(match[1].decode("ascii")), path)


def _split_target(method: bytes, target: bytes) -> tuple[bytes, bytes, bytes | None]:
    """Return path, query and, of an absolute target, the authority (RFC 9112 §3.2)."""
    if method == b"CONNECT":
        raise ProtocolError(501, "this server is no tunnel: CONNECT is not implemented")
    if b"#" in target:
        raise ProtocolError(400, "the request target has a fragment")
    authority = None
    if target == b"*" and method == b"OPTIONS":
        return b"", b"", None
    if not target.startswith(b"/"):
        match = grammar.ABSOLUTE_FORM.fullmatch(target)
        if match is None:
            raise ProtocolError(400, "the request target is of no known form")
        authority, target = match.groups()
        if grammar.HOST.fullmatch(authority) is None:
            raise ProtocolError(400, "the authority of the request target is malformed")
        if not target.startswith(b"/"):
            target = b"/" + target
    path, _, query = target.partition(b"?")
    return path, query, authority


def parse_field_line(line: bytes, limit: int) -> tuple[str, str]:
    """Return a field's CGI name and its value (RFC 9112 §5).

    The name is empty for a field that is dropped: "X_Real_IP" would become the same variable as
    "X-Real-IP", and so forge it; nginx drops names with an underscore as well.

    Args:
        line: without its end.
        limit: bytes that it may have.

    Raises:
        ProtocolError: 400 or 431.
    """
    check_length(line, limit, 431, _FIELD_TOO_LARGE)
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
    if b"_" in name:
        return "", ""
    variable = name.decode("ascii").upper().replace("-", "_")
    if variable not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        variable = "HTTP_" + variable
    if variable == "HTTP_HOST" and grammar.HOST.fullmatch(value) is None:
        raise ProtocolError(400, "the Host field is malformed")
    if variable == "CONTENT_LENGTH" and grammar.CONTENT_LENGTH.fullmatch(value) is None:
        raise ProtocolError(400, "the Content-Length field is malformed")
    return variable, value.decode("latin-1")


class RequestLines(Memo[bytes, Request]):
    """Request lines that have come before, each with the request that most heads make of it.

    That is one without a body, after which the connection persists.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def __missing__(self, line: bytes) -> Request:
        parsed = parse_request_line(line, self._limit)
        usual = Request(parsed)
        if not parsed.query:  # queries rarely repeat
            self.remember(line, line, usual, len(line))
        return usual


class FieldLines(Memo[bytes, tuple[str, str]]):
    """Field lines that have come before, and names whose values do not repeat."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit
        self._names: dict[bytes, str] = {}

    def __missing__(self, line: bytes) -> tuple[str, str]:
        name, colon, value = line.partition(b":")
        variable = self._names.get(name)
        if variable is not None and colon and len(line) <= self._limit:
            text = value.strip(b" \t").decode("latin-1")
            # Printable characters are a subset of what a value may hold; the others take the
            # long way.
            if text.isprintable():
                return variable, text
        field = parse_field_line(line, self._limit)
        if self.remember(name, line, field, len(line)):
            return field
        if field[0] not in _CHECKED and len(name) <= LONGEST:
            if len(self._names) >= ENTRIES:
                self._names.clear()
            self._names[name] = field[0]
        return field


# Variables whose values are held to more than the grammar of field values.
_CHECKED: Final = frozenset({"", "HTTP_HOST", "CONTENT_LENGTH"})
# Fields of which there may be only one.
_SINGLETONS: Final = {
    "HTTP_HOST": "Host",
    "CONTENT_LENGTH": "Content-Length",
    "CONTENT_TYPE": "Content-Type",
}


class HeadParser:
    """From the lines of a head to a request; readers share it, and its memos with it.

    Args:
        limits: what a head is held to.

    Attributes:
        find_known: ``HeadMemo.find``.
    """

    def __init__(self, limits: HeadLimits) -> None:
        self.limits = limits
        self._most_lines = limits.fields + 1
        # The look-ups of the memos themselves: a hit runs no Python.
        self._request_line = RequestLines(limits.line).__getitem__
        self._field = FieldLines(field_room(limits)).__getitem__
        self._memo: HeadMemo[Request] = HeadMemo(
            self._most_lines, field_room(limits), self._read_fields
        )
        self.find_known = self._memo.find

    def check_line(self, line: bytes, number: int) -> None:
        """Check one line of a head by itself; number 0 is the request line.

        Raises:
            ProtocolError: the line is refused.
        """
        if number == 0:
            self._request_line(line)
        elif number >= self._most_lines:
            raise ProtocolError(431, "the request has too many fields")
        else:
            self._field(line)

    def parse(
        self, shared: Environ, request_line: bytes, field_lines: list[bytes]
    ) -> tuple[Request, Environ]:
        """Return the request whose head is given: its lines, without their ends.

        Args:
            shared: what goes into its environ first.
            request_line: the first line.
            field_lines: the others.

        Raises:
            ProtocolError: the head is refused.
        """
        if len(field_lines) >= self._most_lines:
            raise ProtocolError(431, "the request has too many fields")
        usual = self._request_line(request_line)
        line = usual.line
        environ = {**shared, **line.variables}
        size = len(environ) + len(field_lines)
        environ.update(map(self._field, field_lines))
        if len(environ) != size:
            environ = {**shared, **line.variables, **_join(map(self._field, field_lines))}
        if "" in environ:
            del environ[""]
        if (
            "HTTP_HOST" in environ
            and "CONTENT_LENGTH" not in environ
            and "HTTP_TRANSFER_ENCODING" not in environ
            and "HTTP_CONNECTION" not in environ
            and "HTTP_EXPECT" not in environ
            and line.minor
            and line.authority is None
        ):
            return usual, environ
        return _request(line, environ), environ

    def note(self, head: bytes, request_line: bytes, request: Request) -> None:
        """Note a head that was accepted, for the next that is alike."""
        if request is self._request_line(request_line):
            self._memo.note(head, request, request.line.variables)

    def _read_fields(self, lines: list[bytes]) -> dict[str, str]:
        variables = _join(map(self._field, lines))
        variables.pop("", None)
        return variables


def _request(line: RequestLine, environ: Environ) -> Request:
    """Return what a head means that says more than most do.

    Raises:
        ProtocolError: the head is refused.
    """
    request = Request(line)
    if line.authority is not None:
        _use_authority(line, line.authority, environ)
    if line.minor == 0 or "HTTP_CONNECTION" in environ:
        _read_connection(request, environ)
    if "HTTP_HOST" not in environ and line.minor:
        raise ProtocolError(400, "no Host field")
    if "HTTP_TRANSFER_ENCODING" in environ:
        _read_transfer_encoding(request, environ)
    elif "CONTENT_LENGTH" in environ:
        request.content_length = int(environ["CONTENT_LENGTH"])
    elif line.minor == 0 and line.method in ("POST", "PUT"):
        # HTTP/1.0 clients may have meant "until I close" (RFC 1945 §8.3).
        raise ProtocolError(411, "an HTTP/1.0 request of this method needs a Content-Length")
    if "HTTP_EXPECT" in environ and line.minor:
        _read_expectation(request, environ)
    return request


def _join(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the variables, several fields of one name joined (RFC 9110 §5.3)."""
    variables: dict[str, str] = {}
    for variable, value in fields:
        if variable in variables:
            if variable in _SINGLETONS:
                raise ProtocolError(400, f"more than one {_SINGLETONS[variable]} field")
            # "Cookie" is the one field whose members a semicolon separates (RFC 6265 §4.2.1).
            separator = "; " if variable == "HTTP_COOKIE" else ","
            variables[variable] += separator + value
        else:
            variables[variable] = value
    return variables


def _members(value: str) -> list[str]:
    """Return the members of a list field, in lower case (RFC 9110 §5.6.1)."""
    return [member for part in value.lower().split(",") if (member := part.strip(" \t"))]


def _use_authority(line: RequestLine, authority: bytes, environ: Environ) -> None:
    """Hold RFC 9112 §3.2: one opinion about the host."""
    text = authority.decode("latin-1")
    if environ.get("HTTP_HOST", text).lower() != text.lower():
        raise ProtocolError(400, "the Host field disagrees with the request target")
    if line.minor and "HTTP_HOST" not in environ:
        raise ProtocolError(400, "no Host field")
    environ["HTTP_HOST"] = text


def _read_transfer_encoding(request: Request, environ: Environ) -> None:
    """Settle the body's length (RFC 9112 §6); any disagreement is refused."""
    value = environ["HTTP_TRANSFER_ENCODING"]
    codings = _members(value)
    if request.line.minor == 0:
        raise ProtocolError(400, "Transfer-Encoding in an HTTP/1.0 request")
    if "CONTENT_LENGTH" in environ:
        raise ProtocolError(400, "both Content-Length and Transfer-Encoding")
    if len(codings) <= value.count(","):
        # Lists may have empty members (RFC 9110 §5.6.1.2), but parsers disagree about this one.
        raise ProtocolError(400, "an empty member in Transfer-Encoding")
    if codings.count("chunked") > 1:
        raise ProtocolError(400, "the chunked coding is applied twice")
    if codings[-1:] != ["chunked"]:
        # "the server MUST respond with the 400 (Bad Request) status code" (RFC 9112 §6.3)
        raise ProtocolError(400, "chunked is not the final transfer coding")
    if codings != ["chunked"]:
        raise ProtocolError(501, "chunked is the only transfer coding implemented")
    request.chunked = True


def _read_connection(request: Request, environ: Environ) -> None:
    """Settle whether the connection may persist (RFC 9112 §9.3)."""
    value = environ.get("HTTP_CONNECTION", "")
    options = [value] if value in ("close", "keep-alive") else _members(value)
    persistent = request.line.minor == 1 or "keep-alive" in options
    request.keep_alive = persistent and "close" not in options


def _read_expectation(request: Request, environ: Environ) -> None:
    expectations = _members(environ["HTTP_EXPECT"])
    if expectations and expectations != ["100-continue"]:
        raise ProtocolError(417, "the only expectation that is met is 100-continue")
    has_body = request.chunked or bool(request.content_length)
    request.expects_continue = bool(expectations) and has_body
