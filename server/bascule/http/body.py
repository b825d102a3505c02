"""The body of a request: its framing (RFC 9112 §6, §7) and the file it is kept in.

No sockets, no clock. A framing is fed bytes in pieces of any size and writes the body's bytes to
a sink; once complete it hands back what follows the body.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Iterator
from typing import Final

from bascule.errors import ProtocolError
from bascule.http import grammar
from bascule.http.field_line import HeadLimits, check_length, field_room, parse_field_line
from bascule.http.request import Request

# Past this a body goes to a temporary file, so that uploads hold no memory.
SPOOL_SIZE: Final = 1024 * 1024

# A chunk's size and its extensions, which nothing uses; more is an attack on memory.
MAX_CHUNK_LINE: Final = 256

Sink = Callable[[bytes], object]


class LengthFraming:
    """A body of a known number of bytes (RFC 9112 §6.2)."""

    def __init__(self, length: int, sink: Sink) -> None:
        self._remaining = length
        self._sink = sink

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes of the body; return what follows it once it is complete, else None."""
        size = len(data)
        if size < self._remaining:
            self._sink(data)
            self._remaining -= size
            return None
        self._sink(data[: self._remaining])
        return data[self._remaining :]


class _Part(enum.Enum):
    SIZE = enum.auto()
    DATA = enum.auto()
    DATA_END = enum.auto()
    TRAILER = enum.auto()


class ChunkedFraming:
    """A body in the chunked transfer coding (RFC 9112 §7.1).

    Trailer fields are checked as fields of the head are, counted, and discarded: RFC 9110 §6.5.1
    lets a recipient do so, and PEP 3333 has no place for them.

    Args:
        limit: bytes of the decoded body; 0 for none.
        limits: what the trailer section is held to.
        sink: takes the decoded bytes.
    """

    def __init__(self, limit: int, limits: HeadLimits, sink: Sink) -> None:
        self._limit = limit
        self._limits = limits
        self._sink = sink
        self._part = _Part.SIZE
        self._buffer = b""
        self._chunk_remaining = 0
        self._size = 0
        self._trailers = 0

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes of the body; return what follows it once it is complete, else None.

        Raises:
            ProtocolError: 400 for wrong framing, 413 past the limit, 431 for a large trailer.
        """
        buffer = self._buffer + data if self._buffer else data
        position = 0
        while True:
            if self._part is _Part.DATA:
                piece = buffer[position : position + self._chunk_remaining]
                self._sink(piece)
                position += len(piece)
                self._chunk_remaining -= len(piece)
                if self._chunk_remaining:
                    self._buffer = b""
                    return None
                self._part = _Part.DATA_END
            end = buffer.find(b"\r\n", position)
            if end < 0:
                self._check_line(buffer[position:].removesuffix(b"\r"))
                self._buffer = buffer[position:]
                return None
            line = buffer[position:end]
            position = end + 2
            if self._take_line(line):
                return buffer[position:]

    def _take_line(self, line: bytes) -> bool:
        """Act on one whole line; return whether it ended the body."""
        if self._part is _Part.SIZE:
            self._begin_chunk(line)
        elif self._part is _Part.DATA_END:
            if line:
                self._check_line(line)  # refuses any
            self._part = _Part.SIZE
        elif line:
            self._check_line(line)
            self._trailers += 1
            if self._trailers > self._limits.fields:
                raise ProtocolError(431, "the request's trailer has too many fields")
            parse_field_line(line)
        else:
            return True
        return False

    def _begin_chunk(self, line: bytes) -> None:
        match = grammar.CHUNK_LINE.fullmatch(line) if len(line) <= MAX_CHUNK_LINE else None
        if match is None:
            self._check_line(line)
            raise ProtocolError(400, "a chunk's size or its extension is malformed")
        self._chunk_remaining = int(match[1], 16)
        self._size += self._chunk_remaining
        if self._limit and self._size > self._limit:
            raise ProtocolError(413, "the request's body is too large")
        self._part = _Part.DATA if self._chunk_remaining else _Part.TRAILER

    def _check_line(self, line: bytes) -> None:
        """Refuse a line, or early the beginning of one, for what can no longer become right."""
        if self._part is _Part.TRAILER:
            room = field_room(self._limits)
            check_length(line, room, 431, "a trailer field of the request is too large")
        elif self._part is _Part.SIZE:
            check_length(line, MAX_CHUNK_LINE, 400, "a chunk's size and extension are too long")
        else:
            check_length(line, 0, 400, "a chunk is longer than its size")


class Body:
    """The body of one request, as it arrives and until the application has read it.

    Args:
        request: the head.
        limit: bytes of the body; 0 for none.
        limits: what a trailer section is held to.

    Attributes:
        file: the bytes so far; in memory up to ``SPOOL_SIZE``, then on the disk; at its start once
            the body is complete.
        length: how many there are.

    Raises:
        ProtocolError: 413, when the length that is announced is past the limit.
    """

    def __init__(self, request: Request, limit: int, limits: HeadLimits) -> None:
        self._framing: LengthFraming | ChunkedFraming
        if request.chunked:
            self._framing = ChunkedFraming(limit, limits, self._keep)
        else:
            length = request.content_length or 0
            if limit and length > limit:
                raise ProtocolError(413, "the request's body is too large")
            self._framing = LengthFraming(length, self._keep)
        # Here, because a worker that never sees a body saves more than 1 MiB by it.
        from bascule.http.spool import Spool  # noqa: PLC0415

        self.file = Spool(max_size=SPOOL_SIZE)
        self.length = 0

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes; return what follows the body once it is complete, else None.

        Raises:
            ProtocolError: the framing is wrong, a limit is passed, or the disk is full (503).
        """
        rest = self._framing.feed(data)
        if rest is not None:
            try:
                self.file.seek(0)  # which also writes what Python still holds of it
            except OSError as error:
                raise _no_room() from error
        return rest

    def _keep(self, data: bytes) -> None:
        self.length += len(data)
        try:
            self.file.write(data)
        except OSError as error:
            raise _no_room() from error

    def close(self) -> None:
        """Give the file back; one that cannot be flushed any more is given back as well."""
        self.file.on_read = None
        with contextlib.suppress(OSError):
            self.file.close()


def _no_room() -> ProtocolError:
    return ProtocolError(503, "the request's body cannot be stored now")


class NoBody:
    """``wsgi.input`` of every request without a body; it has no state, so one serves all."""

    def read(self, _size: int | None = -1, /) -> bytes:
        return b""

    def readline(self, _size: int | None = -1, /) -> bytes:
        return b""

    def readlines(self, _hint: int | None = -1, /) -> list[bytes]:
        return []

    def __iter__(self) -> Iterator[bytes]:
        return iter(())


NO_BODY: Final = NoBody()
