"""From a status and fields to bytes (RFC 9112 §4 to §7): what is refused, and how a body is framed.

No sockets; the clock is handed in. Whatever an application gives is checked before a byte of it
is sent, so that nothing it says can be read as something else on the wire.
"""

from __future__ import annotations

import enum
from http import HTTPStatus
from typing import Final

from bascule.errors import ApplicationError, ProtocolError
from bascule.http import grammar
from bascule.http.http_date import imf_fixdate
from bascule.http.memo import ENTRIES, Memo

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


# What most responses have, without the cost of a look-up in an enumeration.
_LENGTH: Final = Framing.LENGTH


# A status and fields that an application gave, checked. A plain tuple, because that is made and
# taken apart at a quarter of the cost of an object:
# * the status code;
# * the status line as on the wire, with the line's end;
# * the field lines as on the wire, with their ends;
# * the length in bytes that Content-Length announces, or None.
Head = tuple[int, bytes, bytes, int | None]
# Places in it, for where the cost does not matter.
STATUS: Final = 0
ANNOUNCED: Final = 3


def check_head(status: object, fields: object) -> Head:
    """Check what an application passed to ``start_response`` (PEP 3333).

    Raises:
        ApplicationError: a rule of PEP 3333 or of RFC 9110 is broken.
    """
    if type(status) is not str and not isinstance(status, str):
        raise ApplicationError(f"status must be a str, not {type(status).__name__}")
    if type(fields) is not list and not isinstance(fields, list):
        raise ApplicationError(f"headers must be a list, not {type(fields).__name__}")
    code, status_line = _STATUSES[status]
    lines: list[bytes] = []
    length: int | None = None
    for field in fields:
        try:
            line, announced = _FIELDS[field]
        except TypeError:
            raise ApplicationError(f"headers must hold tuples of str, not {field!r}") from None
        if announced is not None:
            if length is None:
                length = announced
                # "A server MUST NOT send a Content-Length header field in any response with a
                # status code of 1xx (Informational) or 204 (No Content)." (RFC 9110 §8.6)
                if code == 204:
                    continue
            else:
                raise ApplicationError(f"the field {field[0]} is given twice")
        lines.append(line)
    return code, status_line, b"".join(lines), length


# Fields of which there is one, the server's own: an application's are left out.
_OWN: Final = frozenset({"date", "server"})
# Fields that mean something to the server.
_LOOKED_AT: Final = _OWN | {"content-length"}


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


class _Fields(Memo[tuple[str, str], tuple[bytes, int | None]]):
    """Fields that have been given before: their lines, and how many bytes a length announces."""

    def __init__(self) -> None:
        super().__init__()
        # How their lines begin, by names whose values do not repeat; empty where the value means
        # something to the server.
        self._openings: dict[str, bytes] = {}

    def __missing__(self, field: tuple[str, str]) -> tuple[bytes, int | None]:
        name, value = field if type(field) is tuple and len(field) == 2 else _check_types(field)
        opening = self._openings.get(name)
        # Printable characters are a subset of what a value may hold; the others take the long way.
        if (
            opening is None
            or type(value) is not str
            or not value.isascii()
            or not value.isprintable()
        ):
            return self._learn(field)
        if opening:
            return opening + value.encode("ascii") + b"\r\n", None
        return _parse(name, name.lower(), value)

    def _learn(self, field: tuple[str, str]) -> tuple[bytes, int | None]:
        name, value = _check_types(field)
        lower = _check_field(name, value)
        parsed = _parse(name, lower, value)
        if not self.remember(name, field, parsed, len(parsed[0])):
            if len(self._openings) >= ENTRIES:
                self._openings.clear()
            self._openings[name] = b"" if lower in _LOOKED_AT else f"{name}: ".encode("ascii")
        return parsed


def _parse(name: str, lower: str, value: str) -> tuple[bytes, int | None]:
    """Return a field's line, and the length that it announces; all but that is checked."""
    if lower == "content-length":
        return _content_length(value)
    if lower in _OWN:
        return b"", None
    return f"{name}: {value}\r\n".encode("latin-1"), None


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
    if grammar.NATIVE_FIELD_NAME.fullmatch(name) is None:
        raise ApplicationError(f"{name!r} is no field name")
    if grammar.NOT_IN_RESPONSE_FIELD_VALUE.search(value):
        raise ApplicationError(f"the value of {name} holds what no field may: {value!r}")
    lower = name.lower()
    if lower in HOP_BY_HOP:
        raise ApplicationError(f"{name} is a hop-by-hop field, which is the server's to send")
    return lower


def _content_length(value: str) -> tuple[bytes, int]:
    if not value.isascii() or not value.isdecimal() or len(value) > grammar.LENGTH_DIGITS:
        raise ApplicationError(f"Content-Length must be a number of bytes, not {value!r}")
    length = int(value)
    return b"Content-Length: %d\r\n" % length, length


def choose_framing(method: str, minor: int, status: int, length: int | None) -> Framing:
    """Return how a response's body is framed (RFC 9112 §6.3).

    Args:
        method: the request's method.
        minor: the minor version of the request's HTTP/1.
        status: the response's status code.
        length: the body's length in bytes where it is known.
    """
    if method == "HEAD" or status in BODILESS:
        return Framing.NONE
    if length is not None:
        return _LENGTH
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
    status, status_line, fields, announced = head
    preamble = begin_head(status_line, now)
    if connection:
        preamble += b"Connection: %b\r\n" % connection
    if announced is not None:
        return preamble + fields + b"\r\n"  # its line is among the fields'
    if length is not None and status != 204:
        return preamble + fields + b"Content-Length: %d\r\n\r\n" % length
    if framing is Framing.CHUNKED:
        return preamble + fields + b"Transfer-Encoding: chunked\r\n\r\n"
    return preamble + fields + b"\r\n"


def begin_head(status_line: bytes, now: float) -> bytes:
    """Return how a head begins: the status line, ``Server`` and ``Date``.

    Args:
        status_line: with its end.
        now: seconds since the epoch.
    """
    second, preambles = _this_second
    if not 0.0 <= now - second < 1.0:
        preambles = _turn_second(now)
    return preambles[status_line]


class _Preambles(dict[bytes, bytes]):
    """How heads begin within one second: status line, ``Server`` and ``Date``, by status line.

    Args:
        now: seconds since the epoch.

    Attributes:
        date: the ``Date`` field line (RFC 9110 §6.6.1).
    """

    def __init__(self, now: float) -> None:
        super().__init__()
        self.date = f"Date: {imf_fixdate(now)}\r\n".encode("ascii")

    def __missing__(self, status_line: bytes) -> bytes:
        self[status_line] = preamble = status_line + SERVER + self.date
        return preamble


# One immutable pair: threads replace it, never change it.
_this_second: tuple[float, _Preambles] = (0.0, _Preambles(0.0))


def _turn_second(now: float) -> _Preambles:
    global _this_second  # noqa: PLW0603
    preambles = _Preambles(now)
    _this_second = (now // 1.0, preambles)
    return preambles


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
