"""One connection to a server: sends bytes as they are, reads responses strictly.

The reader takes no HTTP library's word: it wants CRLF, a well-formed status line and well-formed
fields, one framing, and keeps what it read as it was (fields as a list, in order).
"""

from __future__ import annotations

import contextlib
import enum
import re
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

DEADLINE = 20.0  # seconds for any one read or write; a test that meets it has failed

Address = tuple[str, int] | str

STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([0-9]{3}) ([\t \x21-\x7e\x80-\xff]*)")
FIELD_LINE = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*"
)
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;.*)?")


class MalformedResponse(Exception):  # noqa: N818  # names what arrived, not what failed
    """The server's bytes are not the HTTP/1.x response that they should be."""


class Framing(enum.Enum):
    """How a response's end is known (RFC 9112 §6.3)."""

    NONE = "no body by definition"
    LENGTH = "Content-Length"
    CHUNKED = "chunked"
    CLOSE = "until close"


class Ending(enum.Enum):
    """How a connection ended."""

    FIN = "closed"
    RST = "reset"
    OPEN = "kept open"


@dataclass(frozen=True)
class Response:
    """One response as it stood on the wire."""

    version: str
    status: int
    reason: str
    fields: tuple[tuple[str, str], ...]
    framing: Framing
    body: bytes
    complete: bool = True

    def all(self, name: str) -> list[str]:
        """Return every value of the field `name`, in order."""
        return [value for other, value in self.fields if other.lower() == name.lower()]

    def one(self, name: str) -> str | None:
        """Return the only value of `name`, None where it is absent."""
        values = self.all(name)
        if len(values) > 1:
            raise MalformedResponse(f"{name} stands {len(values)} times: {values}")
        return values[0] if values else None

    @property
    def says_close(self) -> bool:
        """Whether this response announces that the connection ends after it."""
        options = ",".join(self.all("Connection")).lower().split(",")
        return "close" in [option.strip() for option in options]


class Client:
    """A connected socket and what has been read from it but not used."""

    def __init__(
        self, address: Address, *, deadline: float = DEADLINE, receive_buffer: int | None = None
    ) -> None:
        """Connect. `receive_buffer` bytes make a slow reader of a client that does not read."""
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(deadline)
        try:
            self.socket.connect(address)
            if family == socket.AF_INET:
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            self.socket.close()
            raise
        self._unread = b""
        self._ending = Ending.OPEN

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close this side."""
        self.socket.close()

    def reset(self) -> None:
        """Close this side with RST instead of FIN, as a client that is gone."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send `data`; a server that has closed already is no error: reading will tell."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def send_parts(self, parts: Iterable[bytes]) -> None:
        """Send each part in a packet of its own."""
        for part in parts:
            self.send(part)

    def end_sending(self) -> None:
        """Send FIN: nothing more will come from this side."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def request(self, data: bytes, *, method: str = "GET") -> Response:
        """Send one request and return its final response."""
        self.send(data)
        return self.read_final(method=method)

    def _receive(self) -> bool:
        """Read more; False once the connection has ended."""
        if self._ending is not Ending.OPEN:
            return False
        try:
            data = self.socket.recv(1 << 18)
        except (ConnectionResetError, BrokenPipeError):
            self._ending = Ending.RST
            return False
        if not data:
            self._ending = Ending.FIN
            return False
        self._unread += data
        return True

    def _line(self) -> bytes:
        while b"\r\n" not in self._unread:
            if not self._receive():
                raise MalformedResponse(f"ends in a line: {self._unread[:200]!r}")
        line, _, self._unread = self._unread.partition(b"\r\n")
        if b"\n" in line or b"\r" in line:
            raise MalformedResponse(f"bare CR or LF: {line[:200]!r}")
        return line

    def _exactly(self, size: int) -> bytes:
        """Return `size` bytes, fewer where the connection ends."""
        parts = [self._unread]
        have = len(self._unread)
        while have < size:
            self._unread = b""
            if not self._receive():
                break
            parts.append(self._unread)
            have += len(self._unread)
        data = b"".join(parts)
        self._unread = data[size:]
        return data[:size]

    def _fields(self) -> Iterator[tuple[str, str]]:
        while line := self._line():
            match = FIELD_LINE.fullmatch(line)
            if match is None:
                raise MalformedResponse(f"no field: {line[:200]!r}")
            yield match[1].decode("latin-1"), match[2].decode("latin-1")

    def read(self, *, method: str = "GET") -> Response | None:
        """Read one response to a request of `method`; None where the connection ends before it.

        Interim (1xx) responses are returned like others. Raises MalformedResponse for bytes that
        are no response and TimeoutError where nothing comes.
        """
        if not self._unread and not self._receive():
            return None
        match = STATUS_LINE.fullmatch(self._line())
        if match is None:
            raise MalformedResponse("no status line")
        status = int(match[2])
        head = Response(
            version=f"HTTP/1.{match[1].decode()}",
            status=status,
            reason=match[3].decode("latin-1"),
            fields=tuple(self._fields()),
            framing=Framing.NONE,
            body=b"",
        )
        if status < 200 or status in (204, 304) or method == "HEAD":
            return head
        codings = head.all("Transfer-Encoding")
        length = head.one("Content-Length")
        if codings:
            if length is not None or codings != ["chunked"]:
                raise MalformedResponse(f"framing of {head.fields}")
            return self._with_body(head, Framing.CHUNKED, *self._chunks())
        if length is not None:
            if not length.isascii() or not length.isdigit():
                raise MalformedResponse(f"Content-Length: {length}")
            body = self._exactly(int(length))
            return self._with_body(head, Framing.LENGTH, body, len(body) == int(length))
        while self._receive():
            pass
        body, self._unread = self._unread, b""
        return self._with_body(head, Framing.CLOSE, body, self._ending is Ending.FIN)

    @staticmethod
    def _with_body(head: Response, framing: Framing, body: bytes, complete: bool) -> Response:
        return Response(
            head.version, head.status, head.reason, head.fields, framing, body, complete
        )

    def _chunks(self) -> tuple[bytes, bool]:
        """Return a chunked body's content and whether its last chunk came."""
        blocks: list[bytes] = []
        while True:
            try:
                line = self._line()
            except MalformedResponse:
                if self._ending is not Ending.OPEN and not self._unread:
                    return b"".join(blocks), False
                raise
            match = CHUNK_SIZE.fullmatch(line)
            if match is None:
                raise MalformedResponse(f"no chunk size: {line[:200]!r}")
            size = int(match[1], 16)
            if size == 0:
                if list(self._fields()):
                    raise MalformedResponse("trailer fields that nobody asked for")
                return b"".join(blocks), True
            block = self._exactly(size)
            blocks.append(block)
            if len(block) < size:
                return b"".join(blocks), False
            if self._line():
                raise MalformedResponse("chunk data longer than its size")

    def read_final(self, *, method: str = "GET") -> Response:
        """Read past interim responses and return the final one."""
        while True:
            response = self.read(method=method)
            if response is None:
                raise MalformedResponse("the connection ended instead of a response")
            if response.status >= 200:
                return response

    def read_ending(self) -> Ending:
        """Wait for the connection's end and say which it was; extra bytes are an error."""
        if self._unread or self._receive():
            raise MalformedResponse(f"bytes after the last response: {self._unread[:200]!r}")
        return self._ending

    def still_open(self, probe: bytes) -> Ending:
        """Say whether the server still answers `probe` on this connection."""
        if self._unread:
            raise MalformedResponse(f"bytes after the last response: {self._unread[:200]!r}")
        self.send(probe)
        if self.read() is not None:
            return Ending.OPEN
        return self._ending
