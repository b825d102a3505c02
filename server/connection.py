"""One client: states, deadlines, keep-alive, backpressure.

Exactly one thread owns a connection at any time. In every state but ``CALL`` it is the leader of
the event loop; in ``CALL`` it is the thread of the crew that runs the application, until it hands
the connection back (``Loop.call_soon``). Only the leader touches the poller.

A connection that waits in ``CALL`` stays registered, because most get no event there; the first
event (more bytes, or the client's end) *parks* it: it leaves the poller until the call is over.
"""

from __future__ import annotations

import contextlib
import enum
import io
import itertools
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from server import environ
from server.access_log import AccessLog, Served
from server.body import Body
from server.config import Config
from server.crew import Crew
from server.errors import ClientDisconnected, ProtocolError
from server.event_log import event
from server.file_wrapper import FileRange
from server.gateway import Ending, Exchange
from server.loop import READABLE, WRITABLE, Loop
from server.request import HeadLimits, HeadReader, Request
from server.response import CONTINUE, error_response

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

# One read holds a whole request of the usual kind; a larger buffer costs more to allocate.
RECEIVE_SIZE: Final = 16 * 1024
# Bytes of a file a turn of the loop, so that one fast client does not hold it.
SENDFILE_SIZE: Final = 1024 * 1024
# How long the client has, after the last response, to read it and to stop sending (seconds).
LINGER_TIMEOUT: Final = 2.0

NEVER: Final = float("inf")
_NOTHING: Final = memoryview(b"")


class State(enum.Enum):
    """What a connection is doing."""

    HEAD = enum.auto()  # waits for a request, or has part of a head
    BODY = enum.auto()  # reads a body
    CALL = enum.auto()  # its request waits for a thread, or has one
    SEND = enum.auto()  # the client takes bytes more slowly than they came
    LINGER = enum.auto()  # all is said; the client finishes (RFC 9112 §9.6)
    CLOSED = enum.auto()


@dataclass(slots=True)
class Service:
    """What all connections of a process share.

    Attributes:
        draining: no request after the one in flight: answers say ``Connection: close``.
        connections: those that are open.
        on_served: called, by any thread, with the number of requests served so far.
        on_empty: called by the leader when the last connection has closed.
    """

    config: Config
    application: WSGIApplication
    loop: Loop
    crew: Crew
    access_log: AccessLog | None
    on_served: Callable[[int], None]
    on_empty: Callable[[], None]
    draining: bool = False
    connections: set[Connection] = field(default_factory=set)
    limits: HeadLimits = field(init=False)
    _count: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.limits = HeadLimits(
            line=self.config.limit_request_line,
            fields=self.config.limit_request_fields,
            field=self.config.limit_request_field_size,
        )

    def served(self, served: Served) -> None:
        """Note a request that has been answered."""
        if self.access_log:
            self.access_log.write(served)
        self.on_served(next(self._count))


class Connection:
    """One accepted connection.

    Args:
        sock: connected, non-blocking; the connection closes it.
        shared: what all its requests have in their environ.
        service: what it shares with other connections.

    Attributes:
        deadline: when ``on_deadline`` is due, on the loop's clock.
    """

    __slots__ = (
        "_body",
        "_drained",
        "_environ",
        "_events",
        "_exchange",
        "_file",
        "_lost",
        "_out",
        "_reader",
        "_request",
        "_service",
        "_shared",
        "_size",
        "_sock",
        "_started",
        "_state",
        "deadline",
    )

    def __init__(self, sock: socket.socket, shared: dict[str, Any], service: Service) -> None:
        self._sock = sock
        self._shared = shared
        self._service = service
        self._state = State.HEAD
        self._reader = HeadReader(service.limits)
        self._request: Request | None = None
        self._body: Body | None = None
        self._exchange: Exchange | None = None
        self._environ: dict[str, Any] = {}
        self._out = _NOTHING
        self._file: FileRange | None = None
        self._drained: threading.Event | None = None  # set while a thread waits for the client
        self._lost = False
        self._size = 0
        self._started = 0.0
        self._events = 0  # what the poller waits for; 0 when it does not know the connection
        self.deadline = service.loop.now + service.config.keep_alive
        service.connections.add(self)
        self._watch(READABLE)

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request of which nothing has come."""
        return self._state is State.HEAD and not self._reader.rest

    @property
    def request(self) -> Request | None:
        """The request in hand."""
        return self._request

    # --- what the leader calls -----------------------------------------------------------------

    def on_event(self, _mask: int) -> None:
        """Act on whatever the poller saw."""
        state = self._state
        if state is State.HEAD or state is State.BODY:
            self._receive()
        elif state is State.SEND:
            self._flush()
        elif state is State.LINGER:
            self._discard()
        else:
            self._park()

    def on_deadline(self) -> None:
        """Act on a deadline that has passed."""
        state = self._state
        if state is State.BODY:
            self._refuse(ProtocolError(408, "the request's body did not come in time"))
        elif state is State.HEAD and self._reader.rest:
            self._refuse(ProtocolError(408, "the request's head did not come in time"))
        elif state is State.SEND:
            self._lose()
        elif state is not State.CALL:
            self.close()

    def close(self) -> None:
        """Close the connection, whatever it is doing."""
        if self._state is State.CLOSED:
            return
        self._watch(0)
        self._state = State.CLOSED
        self.deadline = NEVER
        self._release()
        self._sock.close()
        service = self._service
        service.connections.discard(self)
        if not service.connections:
            service.on_empty()

    def _watch(self, events: int) -> None:
        """Have the poller wait for these events; 0 takes the connection out of it."""
        if events == self._events:
            return
        loop, descriptor = self._service.loop, self._sock.fileno()
        if not events:
            loop.unregister(descriptor)
        elif self._events:
            loop.modify(descriptor, events)
        else:
            loop.register(descriptor, self.on_event, events)
        self._events = events

    # --- reading -------------------------------------------------------------------------------

    def _receive(self) -> None:
        try:
            data = self._sock.recv(RECEIVE_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            # An incomplete request is no request (RFC 9112 §8), and nobody waits for an answer.
            self.close()
            return
        self._take(data)

    def _take(self, data: bytes) -> None:
        """Use bytes that the client sent."""
        try:
            if self._body is not None:
                self._feed(self._body, data)
                return
            began = bool(self._reader.rest)
            request = self._reader.feed(data)
            if request is not None:
                self._begin(request)
            elif not began:
                self.deadline = self._service.loop.now + self._service.config.head_timeout
        except ProtocolError as error:
            self._refuse(error)

    def _begin(self, request: Request) -> None:
        """A head is complete: read the body, if there is one, then call the application."""
        self._request = request
        self._started = time.monotonic()
        self._size = 0
        if not request.has_body:
            self._submit()
            return
        service = self._service
        self._body = Body(request, service.config.limit_request_body, service.limits)
        self._state = State.BODY
        data, self._reader.rest = self._reader.rest, b""
        if request.expects_continue and not data:
            self._send_continue()
        self._feed(self._body, data)

    def _feed(self, body: Body, data: bytes) -> None:
        self.deadline = self._service.loop.now + self._service.config.body_timeout
        rest = body.feed(data)
        if rest is not None:
            self._reader.rest = rest
            self._submit()

    def _send_continue(self) -> None:
        # Nothing else is on its way to the client, so these bytes fit; where they do not, the
        # client is gone, and reading will show it.
        with contextlib.suppress(OSError):
            self._sock.send(CONTINUE)

    def _submit(self) -> None:
        self._state = State.CALL
        self.deadline = NEVER
        self._service.crew.submit(self)

    def _park(self) -> None:
        self._watch(0)
        if self._state is State.HEAD:  # the call ended in this very moment
            self._watch(READABLE)

    def _unpark(self) -> None:
        if self._state is State.HEAD:
            self._watch(READABLE)

    # --- the call, by a thread of the crew -----------------------------------------------------

    def call(self) -> None:
        """Call the application for the request in hand, and answer."""
        service, request = self._service, self._request
        if request is None:
            return
        body = self._body
        if body is None:
            self._environ = environ.build(self._shared, request, io.BytesIO(), 0)
        else:
            body.file.seek(0)
            self._environ = environ.build(self._shared, request, body.file, body.length)
        self._exchange = Exchange(
            request,
            self._environ,
            self,
            persist=request.keep_alive and not service.draining,
        )
        self._exchange.run(service.application)
        if service.crew.leads():
            self._settle()
        elif (
            self._exchange.ending is not Ending.PERSIST
            or self._out
            or self._file
            or self._reader.rest
        ):
            service.loop.call_soon(self._settle)
        else:
            # Nothing but the next request is awaited: no need to disturb the leader.
            self._log()
            self._release()
            self.deadline = time.monotonic() + service.config.keep_alive
            # From here on the connection is the leader's. If it parked it meanwhile, it is told.
            self._state = State.HEAD
            if not self._events:
                service.loop.call_soon(self._unpark)

    def send(self, data: bytes) -> None:
        """Send bytes of a stream; hold the calling thread while the client does not keep up.

        Raises:
            ClientDisconnected: the client went away, or took nothing within the write deadline.
        """
        sent = self._try_to_send(data)
        if sent == len(data):
            return
        self._out = memoryview(data)[sent:]
        service = self._service
        self._drained = threading.Event()
        if service.crew.leads():
            # This thread is the loop, so it goes on being the loop until the client has caught up.
            self._start_sending()
            while not self._drained.is_set():
                service.loop.poll()
        else:
            service.loop.call_soon(self._start_sending)
            self._drained.wait()
        self._drained = None
        if self._lost:
            raise ClientDisconnected

    def finish(self, data: bytes, file: FileRange | None) -> None:
        """Take the last bytes of a response; what the client does not take now, the loop sends.

        Raises:
            ClientDisconnected: the client went away.
        """
        if file is not None:
            # The application may close its file at once: this descriptor is the connection's own.
            self._file = FileRange(os.dup(file.descriptor), file.offset, file.count)
        sent = self._try_to_send(data, socket.MSG_MORE if file else 0) if data else 0
        self._out = memoryview(data)[sent:]
        if self._file and not self._out:
            self._send_file()

    def _try_to_send(self, data: bytes | memoryview, flags: int = 0) -> int:
        """Send what the client takes now; return how many bytes that was."""
        try:
            sent = self._sock.send(data, flags)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self._lost = True
            raise ClientDisconnected from error
        self._size += sent
        return sent

    def _send_file(self) -> None:
        """Send what the client takes now of the file."""
        file = self._file
        if file is None:
            return
        try:
            sent = os.sendfile(
                self._sock.fileno(), file.descriptor, file.offset, min(file.count, SENDFILE_SIZE)
            )
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lost = True
            raise ClientDisconnected from error
        if sent == 0:  # the file has become shorter than it was
            self._lost = True
            raise ClientDisconnected
        self._size += sent
        self._file = FileRange(file.descriptor, file.offset + sent, file.count - sent)
        if not self._file.count:
            self._close_file()

    # --- after the call, by the leader ---------------------------------------------------------

    def _settle(self) -> None:
        """The application has returned: send what is left, then end the exchange."""
        if self._exchange and self._exchange.ending is Ending.ABORT:
            self._end()
        elif self._out or self._file:
            self._start_sending()
        else:
            self._end()

    def _start_sending(self) -> None:
        self._state = State.SEND
        self.deadline = self._service.loop.now + self._service.config.write_timeout
        self._watch(WRITABLE)

    def _flush(self) -> None:
        """The client takes bytes again."""
        try:
            if self._out:
                self._out = self._out[self._try_to_send(self._out) :]
            if self._file and not self._out:
                self._send_file()
        except ClientDisconnected:
            self._lose()
            return
        self.deadline = self._service.loop.now + self._service.config.write_timeout
        if self._out or self._file:
            return
        if self._drained is None:
            self._end()
        else:
            self._return_to_caller(READABLE)

    def _lose(self) -> None:
        """The client is gone, or takes nothing."""
        self._lost = True
        self._out = _NOTHING
        if self._drained is not None:
            self._return_to_caller(0)
            return
        if self._exchange:
            self._exchange.ending = Ending.ABORT
        self._end()

    def _return_to_caller(self, events: int) -> None:
        """Give the connection back to the thread that waits in ``send``."""
        self._watch(events)
        self._state = State.CALL
        self.deadline = NEVER
        if self._drained:
            self._drained.set()

    def _end(self) -> None:
        """A response is out, or never will be: log it, and go on as its ending says."""
        exchange, request = self._exchange, self._request
        if exchange is None or request is None:  # a refusal, logged when it was made
            if self._lost:
                self.close()
            else:
                self._linger()
            return
        self._log()
        self._release()
        if exchange.ending is Ending.PERSIST:
            self._next()
        elif exchange.ending is Ending.ABORT or self._lost:
            self.close()
        elif request.keep_alive or self._reader.rest:
            # The client may be sending its next request, which would be answered by a reset.
            self._linger()
        else:
            self.close()

    def _next(self) -> None:
        """Wait for the next request, which may be here already (pipelining)."""
        self._state = State.HEAD
        config, now = self._service.config, self._service.loop.now
        self.deadline = now + (config.head_timeout if self._reader.rest else config.keep_alive)
        self._watch(READABLE)
        if self._reader.rest:
            self._take(b"")

    def _refuse(self, error: ProtocolError) -> None:
        """Answer an error, and close once the client has had a chance to read it."""
        response = error_response(error, time.time())
        request = self._request
        self._release()
        self._reader.rest = b""
        self._service.served(
            Served(
                request=request,
                environ=self._shared,
                status=error.status,
                size=len(response),
                duration=time.monotonic() - self._started if request else 0.0,
                request_id="",
            )
        )
        level = logging.DEBUG if error.status < 500 else logging.ERROR
        event(level, "refused", f"refused a request: {error.status} {error.message}")
        try:
            self._out = memoryview(response)[self._try_to_send(response) :]
        except ClientDisconnected:
            self.close()
            return
        if self._out:
            self._start_sending()
        else:
            self._linger()

    def _linger(self) -> None:
        """Say no more, and let the client finish, so that no reset destroys what it has not read.

        RFC 9112 §9.6: "the server performs a lingering close".
        """
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()
            return
        self._state = State.LINGER
        self.deadline = self._service.loop.now + LINGER_TIMEOUT
        self._watch(READABLE)

    def _discard(self) -> None:
        try:
            if self._sock.recv(RECEIVE_SIZE):
                return
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            pass
        self.close()

    def _log(self) -> None:
        if self._exchange:
            self._service.served(
                Served(
                    request=self._request,
                    environ=self._environ,
                    status=self._exchange.status if self._size else 499,
                    size=self._size,
                    duration=time.monotonic() - self._started,
                    request_id=self._exchange.request_id,
                )
            )

    def _release(self) -> None:
        """Give back what belonged to one request."""
        if self._body is not None:
            self._body.close()
            self._body = None
        self._close_file()
        self._request = None
        self._exchange = None
        self._environ = {}

    def _close_file(self) -> None:
        if self._file:
            os.close(self._file.descriptor)
            self._file = None
