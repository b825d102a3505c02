"""One call of the application as PEP 3333 has it: start_response, iteration, write, close.

The gateway decides what is sent and in what order; a ``Transport`` sends it. Nothing here knows
a socket.
"""

from __future__ import annotations

import enum
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from traceback import format_exception_only
from types import TracebackType
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

from bascule.errors import ApplicationError, ClientDisconnected
from bascule.http.response import (
    ANNOUNCED,
    BODILESS,
    LAST_CHUNK,
    STATUS,
    Framing,
    Head,
    begin_head,
    check_head,
    choose_framing,
    chunk,
    serialize_head,
)
from bascule.told.event_log import event
from bascule.wsgi.file_wrapper import FileRange, FileWrapper

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from bascule.http.request import Environ, Request

# From this size on it costs less to send head and body as two parts than to join them.
GATHER_SIZE: Final = 16 * 1024

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


class Ending(enum.Enum):
    """What becomes of the connection after a response."""

    PERSIST = enum.auto()
    CLOSE = enum.auto()
    # The response is cut short: closing is the only way to tell the client (RFC 9112 §8).
    ABORT = enum.auto()


# Looked up once rather than for each request.
_PERSIST: Final = Ending.PERSIST
_LENGTH: Final = Framing.LENGTH


class Transport(Protocol):
    """Where the bytes go; sending them may raise ClientDisconnected."""

    @property
    def persists(self) -> bool:
        """Whether another request may follow; asked when a response's head is made."""

    def send(self, data: bytes) -> None:
        """Send bytes that more will follow; wait while the client does not keep up."""

    def finish(self, data: bytes, more: bytes | FileRange | None) -> None:
        """Take the last bytes of a response, in one or two parts or with a file; never wait."""


class Exchange:
    """One request and its response.

    Args:
        request: what the server itself knows of the request.
        environ: the request's; the application is called with it.
        transport: takes the response's bytes.

    Attributes:
        status: the status code that was sent; 0 while none was.
        ending: what becomes of the connection; settled once ``run`` has returned.
        waited: for how long the client was waited for (seconds), kept by the transport.
        streams_since: when the head of a response that is sent in pieces was made.
        progressed: when the application last gave a piece, or read one of the body. Both are on
            the monotonic clock, in seconds; 0 for never.
    """

    # Of the class, so that an exchange that is of the usual kind need not set them.
    status = 0
    waited = 0.0
    streams_since = 0.0
    progressed = 0.0
    _remaining: int | None = None  # bytes of a stream that its length still wants
    _complete = False

    def __init__(
        self,
        request: Request,
        environ: Environ,
        transport: Transport,
    ) -> None:
        self.request = request
        self.environ = environ
        self._transport = transport
        self._head: Head | None = None
        self._framing: Framing | None = None  # settled when the head is sent
        self.ending = _PERSIST

    def run(self, application: WSGIApplication) -> None:
        """Call the application and send its response; whatever it raises is logged, not raised."""
        try:
            iterable = application(self.environ, self._start_response)
            if type(iterable) is list and self._framing is None:
                self._send_whole(iterable)  # the usual response; a list has no close()
                return
            try:
                self._respond(iterable)
            finally:
                close = getattr(iterable, "close", None)
                if close is not None:
                    close()
        except ClientDisconnected:
            self.ending = Ending.ABORT
        except BaseException as error:  # SystemExit too: it must not end the process
            self._fail(error)

    @property
    def is_streaming(self) -> bool:
        """Whether a part of the response was sent, and the application is to give more."""
        return self.streams_since > 0 and not self._complete

    def note_progress(self) -> None:
        """Note that the application goes on."""
        self.progressed = time.monotonic()

    # PEP 3333: start_response(status, response_headers, exc_info=None) -> write(body_data)
    def _start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        if exc_info is not None:
            try:
                if self._framing is not None and exc_info[1] is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # breaks the cycle through the traceback (PEP 3333)
        elif self._head is not None:
            raise ApplicationError("start_response was called twice without exc_info")
        self._head = check_head(status, headers)
        return self._write

    def _write(self, data: bytes) -> None:
        """PEP 3333's ``write``: the bytes are on their way before it returns."""
        self._send_chunk(data)

    def _respond(self, iterable: Iterable[bytes]) -> None:
        if self._framing is None and isinstance(iterable, list | tuple):
            self._send_whole(iterable)
            return
        if type(iterable) is FileWrapper:  # a subclass may change what it gives
            if self._framing is None and self._send_file(iterable):
                return
            iterable = self._up_to_length(iterable)
        only = _has_one_chunk(iterable)
        for data in iterable:
            if only and self._framing is None:
                self._send_whole((data,))
                return
            self._send_chunk(data)
            if self._framing is Framing.NONE:
                break
        self._finish()

    def _send_whole(self, chunks: Sequence[bytes]) -> None:
        """Send a response whose body is here in full: head and body leave together."""
        body = chunks[0] if len(chunks) == 1 else None
        if type(body) is not bytes:
            body = _join(chunks)
        head = self._head or self._missing_head()
        status, status_line, fields, announced = head
        size = len(body)
        request, transport = self.request, self._transport
        if (
            (announced is None or announced == size)
            and status not in BODILESS
            and size < GATHER_SIZE
            and request.method != "HEAD"
            and request.minor
            and transport.persists
        ):
            # The usual response; what follows would come to the same.
            self._framing = _LENGTH
            self.status = status
            opening = begin_head(status_line, time.time())
            end = b"\r\n" if announced is not None else b"Content-Length: %d\r\n\r\n" % size
            transport.finish(b"".join((opening, fields, end, body)), None)
            self._complete = True
            return
        framing, length = _LENGTH, announced
        if request.method == "HEAD" or status in BODILESS:
            framing = Framing.NONE
            # The body that HEAD leaves out tells its length, unless the application left it out.
            if announced is None and body and status not in BODILESS:
                length = size
            body = b""
        elif announced is None:
            length = size
        elif announced != size:
            raise ApplicationError(f"Content-Length is {announced}, and the body has {size} bytes")
        data = self._open(head, framing, length)
        if len(body) >= GATHER_SIZE:
            self._transport.finish(data, body)
        else:
            self._transport.finish(data + body, None)
        self._complete = True

    def _send_file(self, wrapper: FileWrapper) -> bool:
        """Send a file without reading it; return whether that was possible."""
        file = wrapper.file_range()
        if file is None:
            return False
        head = self._head or self._missing_head()
        length, announced = file.count, head[ANNOUNCED]
        if announced is not None:
            if announced > length and self.request.method != "HEAD":
                raise ApplicationError(
                    f"Content-Length is {announced}, and the file has {length} bytes"
                )
            length = announced
        framing = self._framing_of(head, length)
        data = self._open(head, framing, length)
        with_body = framing is Framing.LENGTH and length
        self._transport.finish(
            data, FileRange(file.descriptor, file.offset, length) if with_body else None
        )
        self._complete = True
        return True

    def _up_to_length(self, wrapper: FileWrapper) -> Iterable[bytes]:
        """Return a file's blocks up to what Content-Length still wants.

        Transmission should "continue until the end is reached, or until Content-Length bytes have
        been written" (PEP 3333): a response to a range need not end where its file does.
        """
        announced = self._head[ANNOUNCED] if self._head else None
        left = announced if self._framing is None else self._remaining
        return wrapper if left is None else _first(left, wrapper)

    def _send_chunk(self, data: bytes) -> None:
        """Send one chunk of a stream, the head before the first that is not empty."""
        self.progressed = time.monotonic()
        _check_chunk(data)
        if self._complete:
            raise ApplicationError("write was called after the response was complete")
        prefix = b""
        if self._framing is None:
            head = self._head or self._missing_head()
            if data:
                self._remaining = announced = head[ANNOUNCED]
                prefix = self._open(head, self._framing_of(head, announced), announced)
                self.streams_since = self.progressed
        if not data:
            return
        if self._framing is Framing.NONE:
            if prefix:
                self._transport.send(prefix)
            return
        if self._framing is Framing.CHUNKED:
            data = chunk(data)
        elif self._remaining is not None:
            if len(data) > self._remaining:
                # What fits is sent, so that the response is whole; the rest has no place in it.
                if self._remaining or prefix:
                    self._transport.send(prefix + data[: self._remaining])
                self._remaining = 0
                self._complete = True
                raise ApplicationError("the body is longer than its Content-Length")
            self._remaining -= len(data)
        self._transport.send(prefix + data if prefix else data)

    def _finish(self) -> None:
        """End a stream."""
        if self._framing is None:
            head = self._head or self._missing_head()
            framing, announced = self._framing_of(head, 0), head[ANNOUNCED]
            if announced and framing is Framing.LENGTH:
                raise ApplicationError(f"no body, and Content-Length is {announced}")
            prefix = self._open(head, framing, announced if framing is Framing.NONE else 0)
        else:
            prefix = b""
        if self._remaining and self._framing is Framing.LENGTH:
            raise ApplicationError(
                f"the body is {self._remaining} bytes shorter than its Content-Length"
            )
        last = prefix + LAST_CHUNK if self._framing is Framing.CHUNKED else prefix
        self._transport.finish(last, None)
        self._complete = True

    def _missing_head(self) -> NoReturn:
        raise ApplicationError("start_response was not called before the body began")

    def _framing_of(self, head: Head, length: int | None) -> Framing:
        request = self.request
        return choose_framing(request.method, request.minor, head[STATUS], length)

    def _open(self, head: Head, framing: Framing, length: int | None) -> bytes:
        """Settle framing and ending; return the head's bytes."""
        connection = None
        if not self._transport.persists or (length is None and framing is Framing.CLOSE):
            self.ending = Ending.CLOSE
            connection = b"close"
        elif self.request.minor == 0:
            connection = b"keep-alive"
        self._framing = framing
        self.status = head[STATUS]
        return serialize_head(head, framing, length, connection, time.time())

    def _fail(self, error: BaseException) -> None:
        """Log what the application raised; answer 500, or cut short what has begun."""
        details = {
            "method": self.request.method,
            "path": self.request.path,
            "request_id": self.environ.get("HTTP_X_REQUEST_ID", ""),
        }
        event(
            logging.ERROR,
            "application_error",
            "The application failed: " + format_exception_only(error)[-1].strip(),
            error,
            **details,
        )
        if self._complete:
            return  # the client has it all: what failed came after, in close() for one
        if self._framing is not None:
            self.ending = Ending.ABORT
            return
        body = b"500 Internal Server Error\n"
        head = check_head("500 Internal Server Error", [("Content-Type", "text/plain")])
        try:
            framing = self._framing_of(head, len(body))
            data = self._open(head, framing, len(body))
            self._transport.finish(data if self._framing is Framing.NONE else data + body, None)
            self._complete = True
        except ClientDisconnected:
            self.ending = Ending.ABORT


def _first(count: int, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield so many bytes of blocks, and ask for none after them."""
    for block in blocks:
        yield block[:count]
        count -= len(block)
        if count <= 0:
            return


def _join(chunks: Sequence[bytes]) -> bytes:
    for data in chunks:
        _check_chunk(data)
    return b"".join(chunks)


def _check_chunk(data: object) -> None:
    if not isinstance(data, bytes):
        raise ApplicationError(f"a body's chunks must be bytes, not {type(data).__name__}")


def _has_one_chunk(iterable: Iterable[bytes]) -> bool:
    """Return whether ``len()`` says so, from which a server may infer a length (PEP 3333)."""
    try:
        return len(iterable) == 1  # type: ignore[arg-type]
    except TypeError:
        return False
