"""One HTTP/1.1 exchange on an asyncio connection, read strictly and to its very end.

Nothing is ever sent twice: what goes wrong is a `LostError` with the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

BUFFER = 64 * 1024  # bytes of an answer that wait here before nginx has to


class LostError(Exception):
    """No whole answer came; the text says how far it got."""


@dataclass(frozen=True, slots=True)
class Head:
    """An answer's status and fields, their names in lower case."""

    status: int
    fields: dict[str, str]


class Connection:
    """A client's connection; `used` says whether an answer was read from it already."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.used = False
        self._keeps = True

    @classmethod
    async def open(cls, host: str, port: int) -> Connection:
        """Connect. Raises `LostError`."""
        try:
            return cls(*await asyncio.open_connection(host, port, limit=BUFFER))
        except OSError as error:
            raise LostError(f"no connection: {error.strerror or error}") from error

    def is_open(self) -> bool:
        """Whether the other side has neither announced nor made an end of it."""
        if not self._keeps or self._reader.at_eof():
            return False
        # What has arrived, though the event loop has not seen it yet (RFC 9112 §9.5).
        sock = self._writer.get_extra_info("socket")
        with socket.socket(fileno=socket.dup(sock.fileno())) as copy:
            try:
                copy.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except BlockingIOError:
                return True
            except OSError:
                return False
        return False  # the end, or bytes that nobody asked for

    def close(self) -> None:
        """Close it; what has not been sent yet is dropped."""
        self._keeps = False
        with contextlib.suppress(OSError):
            self._writer.transport.abort()

    async def send(self, head: bytes, pieces: Iterable[bytes], pause: float) -> None:
        """Send a request, `pause` seconds before each piece of its body. Raises `LostError`."""
        try:
            self._writer.write(head)
            for piece in pieces:
                if pause:
                    await self._writer.drain()
                    await asyncio.sleep(pause)
                self._writer.write(piece)
            await self._writer.drain()
        except OSError as error:
            # An answer may have come before it (such as 502): that one says more.
            if self._reader.at_eof():
                raise LostError(f"closed while the request was sent: {error}") from error

    async def head(self) -> Head:
        """Read the answer's head. Raises `LostError`."""
        try:
            text = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.IncompleteReadError as error:
            how_far = "within the head" if error.partial else "before an answer"
            after = "a used connection" if self.used else "a new connection"
            raise LostError(f"{after} was closed {how_far}") from error
        except OSError as error:
            after = "a used connection" if self.used else "a new connection"
            raise LostError(f"{after} was reset before an answer") from error
        status_line, *lines = text.removesuffix("\r\n\r\n").split("\r\n")
        fields = {
            name.lower(): value.strip()
            for name, _, value in (each.partition(":") for each in lines)
        }
        if fields.get("connection", "").lower() == "close":
            self._keeps = False
        return Head(int(status_line.split(" ")[1]), fields)

    async def body(self, head: Head) -> AsyncIterator[bytes]:
        """Yield the body in pieces. Raises `LostError` where its end is missing."""
        try:
            if head.fields.get("transfer-encoding", "").lower() == "chunked":
                while size := int(await self._reader.readuntil(b"\r\n"), 16):
                    async for piece in self._exactly(size):
                        yield piece
                    await self._reader.readexactly(2)
                await self._reader.readexactly(2)
            elif "content-length" in head.fields:
                async for piece in self._exactly(int(head.fields["content-length"])):
                    yield piece
            else:
                raise LostError("an answer without a length")
        except asyncio.IncompleteReadError as error:
            raise LostError("closed within the answer") from error
        except OSError as error:
            raise LostError("reset within the answer") from error
        self.used = True

    async def _exactly(self, size: int) -> AsyncIterator[bytes]:
        while size:
            piece = await self._reader.read(min(size, BUFFER))
            if not piece:
                raise asyncio.IncompleteReadError(b"", size)
            size -= len(piece)
            yield piece
