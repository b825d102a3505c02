"""From bytes to the head of a request (RFC 9112 §2 to §6): what is refused, and why.

No sockets, no clock. ``HeadReader`` is fed bytes in pieces of any size and yields ``Request``
objects; what follows a head stays with the reader.

A head that is here in full is read as a whole: decoded once, looked at once for bytes that no head
holds, split once, and then one look-up a field, of its name alone. So a head costs the same whether
it came before or not. A line without a space after its colon, or with a name that is not known, is
looked at by itself; several fields of one name cost a second look at all lines. Whatever else is
unusual about a head, this way declines: it says no to heads that are right, never yes to one that
is wrong. Then the head is read as one that comes in pieces, and that way alone decides what is
refused, and with which status.
"""

from __future__ import annotations

from typing import Final

from bascule.errors import ProtocolError
from bascule.http import grammar
from bascule.http.field_line import (
    FIELD_TOO_LARGE,
    FieldNames,
    HeadLimits,
    check_length,
    field_room,
)
from bascule.http.request import Environ, Request, add_request_line, join_fields, settle
from bascule.http.request_line import LINE_TOO_LONG, parse_request_line, read_request_line

# nginx sends at most 4 * 8 KiB of fields by default; with the request line this leaves room.
MAX_HEAD: Final = 64 * 1024

# Hosts that are kept, and the characters that each may have: a DNS name has 253 at the most.
HOSTS: Final = 256
LONGEST_HOST: Final = 259

# What reading takes: a field that is known, of a head that is read as a whole, counts as one. So
# many are an event by itself, with receiving and a request line; a line that is read by itself, as
# one with a name that is not known; and so many bytes are one.
EVENT: Final = 16
LINE: Final = 5
BYTES: Final = 256

_END: Final = b"\r\n\r\n"
_LINE_END: Final = len(b"\r\n")
_TEXT: Final = grammar.TEXT


class Hosts(dict[str, str]):
    """Values of Host that were found valid, each by itself; others are a ``KeyError``.

    They come from clients: those that are long are not kept, and where there are many all are
    forgotten.
    """

    def __missing__(self, host: str) -> str:
        if grammar.HOST.fullmatch(host.encode("latin-1")) is None:
            raise KeyError(host)
        if len(host) <= LONGEST_HOST:
            if len(self) >= HOSTS:
                self.clear()
            self[host] = host
        return host


class HeadParser:
    """Reads heads that are here in full; all readers share it.

    Args:
        limits: what a head is held to.

    Attributes:
        names: of fields that are known.
        field_room: bytes that a field line may have.
        short: bytes that may come before any line can be too long.
    """

    def __init__(self, limits: HeadLimits) -> None:
        self.limits = limits
        self._most = limits.fields
        self._longest_line = limits.line
        self.field_room = field_room(limits)
        self.short = min(MAX_HEAD, self.field_room, limits.line)
        # No line of a shorter head is too long, but the first.
        self._longest = min(MAX_HEAD, self.field_room)
        self.names = FieldNames()
        self._hosts = Hosts()

    def read(self, shared: Environ, head: bytes) -> tuple[Request, Environ] | None:
        """Return the request of a head and its environ; None where the head is unusual.

        Args:
            shared: what goes into the environ first.
            head: without the two line ends that end it.
        """
        # Each line but the first begins with the LF of the one before: none is known that does not.
        lines = head.decode("latin-1").split("\r")
        request_line = lines.pop(0)
        count = len(lines)
        if (
            # What is left are as many CR as LF, and any other control byte there is.
            len(head.translate(None, _TEXT)) != 2 * count
            or len(head) > self._longest
            or len(request_line) > self._longest_line
            or count > self._most
        ):
            return None
        names = self.names
        environ = shared.copy()
        try:
            request = read_request_line(request_line, environ)
            count += len(environ)
            for each in lines:
                opening, _, value = each.partition(" ")
                try:
                    environ[names[opening]] = value.strip(" \t")
                except KeyError:
                    variable, value = self._read_line(each)
                    environ[variable] = value
            if len(environ) != count or "" in environ:
                environ.update(join_fields(map(self._read_line, lines)))
                environ.pop("", None)
            self._hosts[environ["HTTP_HOST"]]
            if (
                "HTTP_CONNECTION" in environ
                or "CONTENT_LENGTH" in environ
                or "HTTP_TRANSFER_ENCODING" in environ
                or "HTTP_EXPECT" in environ
                or request.minor == 0
                or request.authority is not None
            ):
                length = environ.get("CONTENT_LENGTH", "0")
                if not length.isdecimal() or len(length) > grammar.LENGTH_DIGITS:
                    return None
                settle(request, environ)
        except (KeyError, ProtocolError):
            return None
        return request, environ

    def _read_line(self, line: str) -> tuple[str, str]:
        """Return variable and value of a line, which has one control byte, the LF before it.

        Raises:
            KeyError: it does not begin with an LF.
            ProtocolError: it is refused.
        """
        if line[:1] != "\n":
            raise KeyError(line)
        self.names.looked_at += 1
        return self.names.read(line[1:])


class HeadReader:
    """Collects bytes until a head is complete.

    What is refused, and with which status, never depends on how the bytes were cut.

    Args:
        parser: reads heads that are here in full.
        shared: what all requests have in their environ.

    Attributes:
        rest: bytes received and not yet used.
        effort: what the last bytes took to read, in fields that are known; see ``EVENT``.
    """

    __slots__ = (
        "_fields",
        "_names",
        "_parser",
        "_position",
        "_read",
        "_request",
        "_shared",
        "_start",
        "effort",
        "rest",
    )

    def __init__(self, parser: HeadParser, shared: Environ) -> None:
        self._read = parser.read
        self._names = parser.names
        self._parser = parser
        self._shared = shared
        self.rest = b""
        self.effort = 0
        self._begin()

    def _begin(self) -> None:
        self._start = 0  # where the request line begins, in what is collected
        self._position = 0  # where the first line begins that is yet to be read
        self._request: Request | None = None
        self._fields: list[tuple[str, str]] = []

    def feed(self, data: bytes) -> tuple[Request, Environ] | None:
        """Add bytes; return the next request once its head is complete, else None.

        Raises:
            ProtocolError: the head is refused.
        """
        buffer = self.rest + data if self.rest else data
        if not self._position:
            head, end, rest = buffer.partition(_END)
            if end:
                found = self._read(self._shared, head)
                if found is not None:
                    self.rest = rest
                    self.effort = len(found[1])
                    if self._names.looked_at:
                        self.effort += LINE * self._names.looked_at
                        self._names.looked_at = 0
                    return found
                self._names.looked_at = 0
        return self._read_lines(buffer)

    def _read_lines(self, buffer: bytes) -> tuple[Request, Environ] | None:
        """Read the lines that are complete by now, one by one."""
        self.effort = EVENT + (len(buffer) - self._position) // BYTES
        while True:
            end = buffer.find(b"\r\n", self._position)
            if end < 0:
                self._check_length(buffer[self._position :].removesuffix(b"\r"))
                self.rest = buffer
                return None
            line = buffer[self._position : end]
            if line:
                self.effort += LINE
                if end > self._parser.short or b"\n" in line:
                    self._check_length(line)
                self._read_line(line)
            elif self._request is not None:
                self.rest = buffer[end + _LINE_END :]
                return self._finish(self._request)
            elif self._position:
                raise ProtocolError(400, "more than one empty line before the request line")
            else:
                # "a server SHOULD ignore at least one empty line received prior to the
                # request-line" (RFC 9112 §2.2): one, and no more.
                self._start = _LINE_END
            self._position = end + _LINE_END

    def _check_length(self, line: bytes) -> None:
        if self._request is None:
            check_length(line, self._parser.limits.line, 414, LINE_TOO_LONG)
        else:
            room = max(0, MAX_HEAD - (self._position - self._start))
            check_length(line, min(room, self._parser.field_room), 431, FIELD_TOO_LARGE)

    def _read_line(self, line: bytes) -> None:
        if self._request is None:
            self._request = parse_request_line(line)
        elif len(self._fields) >= self._parser.limits.fields:
            raise ProtocolError(431, "the request has too many fields")
        else:
            self._fields.append(self._parser.names.parse(line))

    def _finish(self, request: Request) -> tuple[Request, Environ]:
        """Return the request that was read line by line."""
        environ = self._shared.copy()
        add_request_line(environ, request)
        environ.update(join_fields(self._fields))
        environ.pop("", None)
        settle(request, environ)
        self._begin()
        return request, environ
