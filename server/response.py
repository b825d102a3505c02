"""From a status and fields to bytes (RFC 9112 §4 to §7): what is refused, and how a body is framed.

No sockets; the clock is handed in. Whatever an application gives is checked before a byte of it
is sent, so that nothing it says can be read as something else on the wire.
"""

from __future__ import annotations

import enum
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from server import grammar
from server.errors import ApplicationError, ProtocolError
from server.memo import ENTRIES, Memo

SERVER: Final = b"Server: bascule\r\n"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"

# "hop-by-hop" in PEP 3333's words: fields about the connection, which is the server's own
# (RFC 9110 §7.6.1, RFC 2616 §13.5.1).
HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "trailers",
        "transfer-encoding",
        "upgrade",
    }
)

# Statuses whose responses have no body (RFC 9110 §6.4.1).
BODILESS: Final = frozenset({204, 304})


class Framing(enum.Enum):
    """How the client learns where the body ends (RFC 9112 §6.3)."""

    NONE = enum.auto()  # HEAD, 204, 304: there is no body, whatever the fields say
    LENGTH = enum.auto()
    CHUNKED = enum.auto()
    CLOSE = enum.auto()  # HTTP/1.0 without a length


class Head:
    """A status and fields that the application gave, checked.

    Args:
        status: the status code.
        status_line: as on the wire, with the line's end.
        lines: the field lines as on the wire, without those that the server computes.

    Attributes:
        content_length: the length in bytes that the application announced, or None.
        request_id: the value of ``X-Request-ID``, for the access log; None for no such field.
        own: names of the fields that the application gave instead of the server's own.
    """

    content_length: int | None = None
    request_id: str | None = None
    own: tuple[str, ...] = ()

    def __init__(self, status: int, status_line: bytes, lines: list[bytes]) -> None:
        self.status = status
        self.status_line = status_line
        self.lines = lines


def check_head(status: object, fields: object) -> Head:
    """Check what an application passed to ``start_response`` (PEP 3333).

    Raises:
        ApplicationError: a rule of PEP 3333 or of RFC 9110 is broken.
    """
    if not isinstance(status, str):
        raise ApplicationError(f"status must be a str, not {type(status).__name__}")
    if not isinstance(fields, list):
        raise ApplicationError(f"headers must be a list, not {type(fields).__name__}")
    code, status_line = _STATUSES[status]
    lines: list[bytes] = []
    head = Head(code, status_line, lines)
    for field in fields:
        try:
            line, special = _FIELDS[field]
        except TypeError:
            raise ApplicationError(f"headers must hold tuples of str, not {field!r}") from None
        if special:
            _use_special(head, special, field)
        if line:
            lines.append(line)
    return head


def _use_special(head: Head, name: str, field: tuple[str, str]) -> None:
    """Take in a field that there may be only one of; ``name`` is its name in lower case."""
    if name == "content-length":
        is_second = head.content_length is not None
        head.content_length = int(field[1])
    elif name == "x-request-id":
        is_second = head.request_id is not None
        head.request_id = field[1]
    else:
        is_second = name in head.own
        head.own += (name,)
    if is_second:
        raise ApplicationError(f"the field {field[0]} is given twice")


# Fields that there may be only one of, and that the server looks at.
_SPECIAL: Final = frozenset({"content-length", "date", "server", "x-request-id"})


class _Statuses(Memo[str, tuple[int, bytes]]):
    """Statuses that have been given before: code and status line."""

    def __missing__(self, status: str) -> tuple[int, bytes]:
        if grammar.STATUS.fullmatch(status) is None:
            raise ApplicationError(f"status must be like '200 OK', not {status!r}")
        code = int(status[:3])
        if code < 200:
            raise ApplicationError(f"an application cannot answer with an interim {status!r}")
        parsed = code, f"HTTP/1.1 {status}\r\n".encode("latin-1")
        self.remember(code, status, parsed, len(status))
        return parsed


class _Fields(Memo[tuple[str, str], tuple[bytes, str]]):
    """Fields that have been given before: line, and name in lower case if it is special.

    The line of ``Content-Length`` is empty, because the server writes its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self._names: dict[str, str] = {}

    def __missing__(self, field: tuple[str, str]) -> tuple[bytes, str]:
        name, value = _check_types(field)
        special = self._names.get(name)
        if special is not None and value.isascii() and value.isprintable():
            return f"{name}: {value}\r\n".encode("ascii"), special
        lower = _check_field(name, value)
        special = lower if lower in _SPECIAL else ""
        line = f"{name}: {value}\r\n".encode("latin-1")
        if lower == "content-length":
            _check_content_length(value)
            line = b""
        parsed = line, special
        if not self.remember(name, field, parsed, len(line)) and lower != "content-length":
            if len(self._names) >= ENTRIES:
                self._names.clear()
            self._names[name] = special
        return parsed


_STATUSES: Final = _Statuses()
_FIELDS: Final = _Fields()


def _check_types(field: object) -> tuple[str, str]:
    if not isinstance(field, tuple) or len(field) != 2:
        raise ApplicationError(f"headers must hold (name, value) tuples, not {field!r}")
    name, value = field
    if not isinstance(name, str) or not isinstance(value, str):
        raise ApplicationError(f"a header's name and value must be str, not {field!r}")
    return name, value


def _check_field(name: str, value: str) -> str:
    """Check what a field may hold; return its name in lower case."""
    if grammar.RESPONSE_FIELD_NAME.fullmatch(name) is None:
        raise ApplicationError(f"{name!r} is no field name")
    if grammar.NOT_IN_RESPONSE_FIELD_VALUE.search(value):
        raise ApplicationError(f"the value of {name} holds what no field may: {value!r}")
    lower = name.lower()
    if lower in HOP_BY_HOP:
        raise ApplicationError(f"{name} is a hop-by-hop field, which is the server's to send")
    return lower


def _check_content_length(value: str) -> None:
    if not value.isascii() or grammar.CONTENT_LENGTH.fullmatch(value.encode("ascii")) is None:
        raise ApplicationError(f"Content-Length must be a number of bytes, not {value!r}")


def choose_framing(method: str, minor: int, head: Head, length: int | None) -> Framing:
    """Return how a response's body is framed (RFC 9112 §6.3).

    Args:
        method: the request's method.
        minor: the minor version of the request's HTTP/1.
        head: the response's head.
        length: the body's length in bytes where it is known.
    """
    if method == "HEAD" or head.status in BODILESS:
        return Framing.NONE
    if length is not None:
        return Framing.LENGTH
    return Framing.CHUNKED if minor else Framing.CLOSE


def serialize_head(
    head: Head, framing: Framing, length: int | None, connection: bytes | None, now: float
) -> bytes:
    """Return the head's bytes, with the empty line that ends it.

    Args:
        head: what the application gave.
        framing: how the body is framed.
        length: the value for ``Content-Length``; None for no such field.
        connection: the value for ``Connection``; None for no such field.
        now: seconds since the epoch, for ``Date``.
    """
    if head.own:
        parts = [head.status_line, *head.lines]
        if "server" not in head.own:
            parts.append(SERVER)
        if "date" not in head.own:
            parts.append(date_line(now))
    else:
        parts = [head.status_line, SERVER, date_line(now), *head.lines]
    if connection:
        parts.append(b"Connection: %b\r\n" % connection)
    if framing is Framing.CHUNKED:
        parts.append(b"Transfer-Encoding: chunked\r\n\r\n")
    # "A server MUST NOT send a Content-Length header field in any response with a status code of
    # 1xx (Informational) or 204 (No Content)." (RFC 9110 §8.6)
    elif length is not None and head.status != 204:
        parts.append(b"Content-Length: %d\r\n\r\n" % length)
    else:
        parts.append(b"\r\n")
    return b"".join(parts)


_date: tuple[int, bytes] = (0, b"")


def date_line(now: float) -> bytes:
    """Return the ``Date`` field line (RFC 9110 §6.6.1), made once a second."""
    global _date  # noqa: PLW0603  # one immutable pair: threads replace it, never change it
    second, line = _date
    if not 0 <= now - second < 1:
        # Not strftime: its names of days and months follow the locale.
        line = b"Date: %b\r\n" % formatdate(now, usegmt=True).encode("ascii")
        _date = (int(now), line)
    return line


def chunk(data: bytes) -> bytes:
    """Return one chunk of the chunked transfer coding (RFC 9112 §7.1); ``data`` is not empty."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def error_response(error: ProtocolError, now: float) -> bytes:
    """Return the whole response that refuses a request; the connection closes after it."""
    status = HTTPStatus(error.status)
    body = f"{status.value} {status.phrase}: {error.message}\n".encode()
    head = check_head(
        f"{status.value} {status.phrase}", [("Content-Type", "text/plain; charset=utf-8")]
    )
    return serialize_head(head, Framing.LENGTH, len(body), b"close", now) + body
