"""One client: states, deadlines, keep-alive, backpressure.

Exactly one thread owns a connection at any time. In every state but ``CALLED`` it is the leader of
the event loop; in ``CALLED`` it is the thread of the crew that runs the application, until it hands
the connection back (``Loop.call_soon``). Only the leader touches the poller.

What a connection waits for in each state, until when, and what it does then, is in the table at the
end of this module; ``_become`` sets all of it. While its request waits for a thread or has one, a
connection stays registered, because most get no event there; the first event (more bytes, or the
client's end) *parks* it: it leaves the poller until the call is over.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from bascule.config import Config
from bascule.engine.call import Call
from bascule.engine.loop import READABLE, WRITABLE
from bascule.engine.outgoing import Outgoing
from bascule.engine.service import NEVER, Service
from bascule.engine.states import State
from bascule.errors import ClientDisconnected, ProtocolError
from bascule.guard import Place
from bascule.http.body import Body
from bascule.http.head import EVENT, HeadReader
from bascule.http.request import Environ, Request
from bascule.http.response import CONTINUE, error_response
from bascule.told.access_log import Refusal
from bascule.told.event_log import event
from bascule.wsgi.environ import add_body
from bascule.wsgi.gateway import Ending, Exchange

# One read holds a whole request of the usual kind; a larger buffer costs more to allocate.
RECEIVE_SIZE: Final = 16 * 1024
# Of a body more is on its way: fewer and larger reads halve what an upload costs.
BODY_RECEIVE_SIZE: Final = 64 * 1024
# Of a new connection: the rest of a first request that is larger waits for its turn.
MODEST: Final = 4 * 1024
# How long the client, after the last response, may be silent, and may go on sending (seconds).
LINGER_SILENCE: Final = 2.0
LINGER_TIMEOUT: Final = 30.0
# Where what it sends goes; nobody looks at it.
_DISCARDED: Final = bytearray(256 * 1024)
# A deadline that is yet to be set, so that no request pays for reading the clock: the idle time
# counts from the next tick on.
FROM_NEXT_TICK: Final = 0.0
# Of a forked process that returned from the call in which it was forked.
EXIT_FORKED: Final = 1
# What an event costs (bascule.http.head.EVENT) that others need not wait for: some three times what
# a usual request's does.
COSTLY: Final = 64
# What a refusal costs beside what was read.
REFUSAL: Final = 64
# So many bytes of a body, or of a response, cost as much as a field of a head.
BODY_BYTES: Final = 2048
# nginx's status for a client that left before it was answered; for the log only.
CLIENT_LEFT: Final = 499
# In place of the wait for a thread (seconds): the application was not called.
NOT_CALLED: Final = -1.0

# Looked up once rather than for each event.
_IDLE: Final = State.IDLE
_WAITING: Final = State.WAITING
_CALLED: Final = State.CALLED
_PERSIST: Final = Ending.PERSIST

_CONNECTION: Final = Place("connection", "The server itself failed, and closes the connection")


class Connection:
    """One accepted connection.

    Args:
        sock: connected, non-blocking; the connection closes it.
        shared: what all its requests have in their environ.
        service: what it shares with other connections.

    Attributes:
        deadline: when ``on_deadline`` is due, on the loop's clock.
        persists: another request may follow the one in hand.
        request: the request in hand.
        environ: the request's; without one, what all requests of the connection have in theirs.
    """

    __slots__ = (
        "_body",
        "_called",
        "_drained",
        "_events",
        "_exchange",
        "_outgoing",
        "_reader",
        "_service",
        "_shared",
        "_sock",
        "_started",
        "_state",
        "_untaken",
        "_waits_since",
        "deadline",
        "environ",
        "finish",
        "persists",
        "request",
    )

    def __init__(self, sock: socket.SocketType, shared: Environ, service: Service) -> None:
        self._sock = sock
        self._shared = shared
        self._service = service
        self._state = _IDLE
        self._reader = HeadReader(service.parser, shared)
        self._outgoing = Outgoing(sock)
        # The last bytes of a response: what the client does not take now, the loop sends.
        self.finish = self._outgoing.put
        self._body: Body | None = None
        self._exchange: Exchange | None = None
        self._drained: threading.Event | None = None  # there while a call waits for the client
        self._started = 0.0
        self._called = 0.0  # when the application was called, if somebody wants to know
        self._untaken = 0  # bytes that the client had not taken at the last look
        self._events = 0  # what the poller waits for; 0 while it does not know the connection
        self.request: Request | None = None
        self.environ = shared
        self.persists = False
        self.deadline = service.loop.now + service.config.keep_alive
        service.connections.add(self)

    @property
    def kind(self) -> str:
        """The path: requests for one path are expected to take about as long."""
        return self.request.path if self.request else ""

    @property
    def request_id(self) -> str:
        """The id that the proxy, or the application, gave the request in hand; empty for none."""
        return _text(self.environ.get("HTTP_X_REQUEST_ID", ""))

    @property
    def peer(self) -> str:
        """The client's address, as the access log has it."""
        return _text(self.environ.get("REMOTE_ADDR", ""))

    @property
    def state(self) -> State:
        """What it is doing."""
        return self._state

    @property
    def started(self) -> float:
        """When the head of the request in hand was complete, on the monotonic clock."""
        return self._started

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request of which nothing has come."""
        return self._state is State.IDLE

    @property
    def waits_since(self) -> float:
        """Since when it has waited for a request, or for its client to leave; else ``NEVER``."""
        state, config = self._state, self._service.config
        if state is State.LINGERING:
            return self._started
        if state is State.HEAD:
            return self.deadline - config.head_timeout
        if state is State.IDLE and self.deadline != FROM_NEXT_TICK:
            return self.deadline - config.keep_alive
        return NEVER

    def _become(self, state: State) -> None:
        """Do something else from now on: wait for its events, until its deadline."""
        row = _TABLE[state]
        self._state = state
        self.deadline = self._service.loop.now + row.timeout(self._service.config)
        if row.events is not None:
            self._watch(row.events)

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

    def on_event(self, _mask: int) -> None:
        """Act on whatever the poller saw."""
        try:
            _ON_EVENT[self._state](self)
        except BaseException as error:  # a mistake of ours costs one connection, not all
            self._break(error)

    def on_deadline(self) -> None:
        """Act on a deadline that has passed."""
        try:
            _TABLE[self._state].on_deadline(self)
        except BaseException as error:
            self._break(error)

    def close(self) -> None:
        """Close the connection, whatever it is doing."""
        if self._state is State.CLOSED:
            return
        try:
            self._become(State.CLOSED)
            self._release()
        finally:
            self._sock.close()
            self._service.forget(self)

    def let_go(self) -> None:
        """Close the socket in a forked process; nothing of it reaches the worker or the client."""
        self._sock.close()

    def _break(self, error: BaseException) -> None:
        _CONNECTION.note(error)
        self.close()

    def _fall_behind(self, cost: int) -> None:
        """Let others go first: this event cost much, or nobody waits for what it brought.

        To send byte by byte costs a client nothing, and a thousand such events are milliseconds.
        """
        if self._events:
            self._service.loop.put_behind(self._sock.fileno(), cost)

    def _ignore(self) -> None:
        """Do nothing: in this state there is nothing to do."""

    # --- the first bytes, by the leader --------------------------------------------------------

    def begin(self) -> int:
        """Read what came with the connection; most clients have sent a request by now.

        Returns:
            What that cost, as ``bascule.http.head.EVENT`` has it.
        """
        try:
            self._begin()
        except BaseException as error:
            self._break(error)
        return self._reader.effort

    def _begin(self) -> None:
        data = self._receive(MODEST)
        if data and len(data) < MODEST:
            self._take_first(data)
            if self._state in (State.HEAD, State.BODY):
                self._watch(READABLE)
                self._fall_behind(self._reader.effort)
            return
        self._events = READABLE
        self._service.loop.register(self._sock.fileno(), self._on_first_event)
        if data:
            self._put_off(data)

    def _on_first_event(self, _mask: int) -> None:
        """Read a first request that did not come with the connection."""
        self._service.loop.hand_over(self._sock.fileno(), self.on_event)
        data = self._receive(MODEST)
        if data is None:
            return
        if not data:
            self.close()
        elif len(data) < MODEST:
            self._take_first(data)
        else:
            self._put_off(data)

    def _put_off(self, data: bytes) -> None:
        """Use the first bytes after others had their turn: they are many, and may cost much."""
        self._reader.rest = data
        self._become(State.HEAD)
        self._service.loop.call_behind(self._sock.fileno(), self._on_turn)

    def _on_turn(self, _mask: int) -> None:
        self._service.loop.hand_over(self._sock.fileno(), self.on_event)
        self._take_first(b"")

    def _take_first(self, data: bytes) -> None:
        try:
            self._take(data)
        except BaseException as error:
            self._break(error)

    # --- reading, by the leader ----------------------------------------------------------------

    def _receive(self, size: int) -> bytes | None:
        """Return what the client has sent; nothing where it has gone, None where nothing came."""
        try:
            data = self._sock.recv(size)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return b""
        counters = self._service.counters
        if counters is not None:
            counters.received += len(data)
        return data

    def _receive_head(self) -> None:
        data = self._receive(RECEIVE_SIZE)
        if data:
            self._take(data)
        elif data is not None:
            # An incomplete request is no request (RFC 9112 §8), and nobody waits for an answer.
            self.close()

    def _receive_body(self) -> None:
        data = self._receive(BODY_RECEIVE_SIZE)
        if data and self._body is not None:
            try:
                self._feed(self._body, data)
            except ProtocolError as error:
                self._refuse_costly(error)
        elif data is not None:
            self.close()

    def _take(self, data: bytes) -> None:
        """Use bytes of a head, and of what follows it."""
        reader, service = self._reader, self._service
        try:
            found = reader.feed(data)
            if found is None:
                if self._state is not State.HEAD:
                    self._become(State.HEAD)
                self._fall_behind(reader.effort)
                return
            if reader.effort > COSTLY:
                self._fall_behind(reader.effort)
            request, self.environ = found
            self.request = request
            self.persists = request.keep_alive and not service.draining
            self._started = service.loop.now
            self._outgoing.sent = 0
            if request.content_length or request.chunked:
                self._begin_body(request)
            else:
                self._state = _WAITING
                self.deadline = NEVER
                service.crew.submit(self)
        except ProtocolError as error:
            self._refuse_costly(error)

    def _begin_body(self, request: Request) -> None:
        """A head is complete, and its body is not."""
        service = self._service
        limit, limits = service.config.limit_request_body, service.parser.limits
        self._body = body = Body(request, limit, limits)
        self._state = State.BODY
        data, self._reader.rest = self._reader.rest, b""
        if request.expects_continue and not data:
            # Nothing else is on its way to the client, so these bytes fit; where they do not, the
            # client is gone, and reading will show it.
            with contextlib.suppress(OSError):
                self._sock.send(CONTINUE)
        self._feed(body, data)

    def _feed(self, body: Body, data: bytes) -> None:
        service = self._service
        rest = body.feed(data)
        if rest is not None:
            self._reader.rest = rest
            self._state = _WAITING
            self.deadline = NEVER
            service.crew.submit(self)
        else:
            self.deadline = service.loop.now + service.config.body_timeout
            self._fall_behind(EVENT + len(data) // BODY_BYTES)

    def _refuse_late_head(self) -> None:
        self._refuse(ProtocolError(408, "the request's head did not come in time"))

    def _refuse_late_body(self) -> None:
        self._refuse(ProtocolError(408, "the request's body did not come in time"))

    def _end_idleness(self) -> None:
        """Close, unless the deadline was yet to be set."""
        if self.deadline == FROM_NEXT_TICK:
            self._become(State.IDLE)
        else:
            self.close()

    # --- the call, by a thread of the crew -----------------------------------------------------

    def call(self) -> None:
        """Call the application for the request in hand, and answer."""
        request, service = self.request, self._service
        if request is None:
            return
        self._state = _CALLED
        self._exchange = exchange = Exchange(request, self.environ, self)
        body = self._body
        if body is not None:
            add_body(self.environ, body.file, body.length)
            body.file.on_read = exchange.note_progress
        if service.is_observed:
            self._called = time.monotonic()
        try:
            exchange.run(service.application)
        except BaseException as error:  # not the application's: those are answered
            _CONNECTION.note(error)
            exchange.ending = Ending.ABORT
        if service.is_forked:
            # The worker answers; here nobody is left who could go on, and locks may be held for
            # good by threads that are gone.
            os._exit(EXIT_FORKED)

    def hand_back(self) -> None:
        """Give the connection to the leader once the call is over; called beside it."""
        try:
            if not self._await_request():
                self._service.loop.call_soon(self.settle)
                return
            if not self._events:  # the leader parked it meanwhile
                self._service.loop.call_soon(self._unpark)
            if self._service.access_log:  # and the leader may sleep
                self._service.access_log.flush()
        except BaseException as raised:
            error = raised
            self._service.loop.call_soon(lambda: self._break(error))

    def _park(self) -> None:
        """Leave the poller until the call is over."""
        self._watch(0)
        self._unpark()  # the call may have ended in this very moment

    def _unpark(self) -> None:
        if self._state is State.IDLE:
            self._watch(READABLE)

    def send(self, data: bytes) -> None:
        """Send bytes of a stream; hold the calling thread while the client does not keep up.

        Raises:
            ClientDisconnected: the client went away, or took nothing within the write deadline, or
                the stream has lasted for as long as it may.
        """
        if time.monotonic() >= self._stream_ends():
            self._report_stream()
            raise ClientDisconnected
        self._outgoing.put(data)
        if not self._outgoing.pending:
            return
        service = self._service
        self._drained = drained = threading.Event()
        if service.crew.is_alone:
            # This thread is the loop, so it goes on being the loop until the client has caught up.
            self._start_sending(State.HELD)
            while not drained.is_set():
                service.loop.poll()
        else:
            service.crew.step_aside()
            service.loop.call_soon(lambda: self._start_sending(State.HELD))
            drained.wait()
        self._drained = None
        if self._outgoing.lost:
            raise ClientDisconnected

    def _stream_ends(self) -> float:
        """Return until when the call may stream, on the monotonic clock."""
        limit, exchange = self._service.config.max_stream_duration, self._exchange
        if not limit or exchange is None or not exchange.is_streaming:
            return NEVER
        return exchange.streams_since + limit

    def _report_stream(self) -> None:
        request = self.request
        event(
            logging.WARNING,
            "stream_ended",
            f"{request.method if request else ''} {request.target if request else ''} "
            f"was cut short, since it "
            f"streamed for --max-stream-duration {self._service.config.max_stream_duration:g} s",
            request_id=self.request_id,
            method=request.method if request else "",
            path=request.path if request else "",
            peer=self.peer,
        )

    def turn_away(self, wait: float) -> None:
        """Answer that too many requests wait for a thread; the leader's, in place of ``call``."""
        request, service = self.request, self._service
        if request is None:
            return
        self._called = NOT_CALLED
        self._exchange = Exchange(request, self.environ, self)
        self._exchange.run(service.overload.refusal(wait, service.loop.now))
        self.settle()

    # --- a call that is slow, or hangs ---------------------------------------------------------

    @property
    def is_called(self) -> bool:
        """Whether the application has its request, and does not wait for the client."""
        return self._state is State.CALLED

    @property
    def is_streaming(self) -> bool:
        """Whether a thread is in the middle of a response that is sent in pieces."""
        exchange = self._exchange
        is_open = self._state in (State.CALLED, State.HELD, State.SENDING)
        return is_open and exchange is not None and exchange.is_streaming

    def working_time(self, call: Call, now: float) -> float:
        """Return for how long the application has had the call (seconds).

        Time in which it waited for the client, which has a deadline of its own, does not count;
        while it waits, the call has no age.
        """
        if self._state not in (State.WAITING, State.CALLED):
            return 0.0
        return now - call.started - (self._exchange.waited if self._exchange else 0.0)

    def silent_time(self, call: Call, now: float) -> float:
        """Return for how long the application has shown no sign of progress (seconds).

        It shows one where it gives a piece of its response, or reads one of the body, and has to
        show none while it waits for the client.
        """
        if self._state not in (State.WAITING, State.CALLED):
            return 0.0
        return now - max(call.started, self._exchange.progressed if self._exchange else 0.0)

    def surrender(self) -> socket.socket:
        """Leave the connection to a call that hangs, but for the socket, which is returned."""
        self._become(State.ABANDONED)
        self._service.forget(self)
        return self._outgoing.detach()

    def answer_for_call(self, sock: socket.socket) -> None:
        """Answer 504 in place of a call that was abandoned, or cut short what it has begun.

        Args:
            sock: that was surrendered; whoever answers closes it.
        """
        request = self.request
        if self._outgoing.sent or request is None:
            self._log()
            sock.close()
        else:
            successor = type(self)(sock, self._shared, self._service)
            successor._take_over(request, self.environ, self._started)
        if self._drained is not None:
            self._free_thread()

    def _take_over(self, request: Request, environ: Environ, started: float) -> None:
        """Answer another's request with 504, and close."""
        self.request, self.environ, self._started = request, environ, started
        error = ProtocolError(504, "the application did not answer in time")
        response = error_response(error, time.time())
        if request.method == "HEAD":
            response = response[: response.index(b"\r\n\r\n") + 4]
        self._say_last(error.status, response)

    def _free_thread(self) -> None:
        """Let the thread of an abandoned call go that waits for the client."""
        self._outgoing.lost = True
        if self._drained is not None:
            self._drained.set()

    def discard(self) -> None:
        """Clean up after an abandoned call that has ended after all; called by its thread.

        What the leader may yet want to know of it stays.
        """
        event(
            logging.WARNING,
            "hung_request_ended",
            f"A call that was given up has ended, {time.monotonic() - self._started:.1f} s after "
            "its request came",
            request_id=self.request_id,
        )
        if self._body is not None:
            self._body.close()
        self._outgoing.drop()

    @property
    def is_stuck(self) -> bool:
        """Whether nothing is going to happen with it, unless a thread has its request."""
        return self.deadline == NEVER and self._drained is None

    def give_up(self) -> None:
        """Answer 500, or close: it is stuck since something failed; called by the leader."""
        if self._state in (State.WAITING, State.CALLED) and not self._outgoing.sent:
            self._refuse(ProtocolError(500, "the server has lost the request"))
            return
        self._free_thread()
        self.close()
        self._sock.close()
        self._service.forget(self)

    # --- sending, by the leader ----------------------------------------------------------------

    def settle(self) -> None:
        """The application has returned: send what is left, then end the exchange."""
        try:
            if self._events and self._await_request():
                return
            if self._outgoing.pending and not self._outgoing.lost:
                self._start_sending(State.SENDING)
            else:
                self._end()
        except BaseException as error:
            self._break(error)

    def _await_request(self) -> bool:
        """Wait for the next request, if nothing else is left to do; return whether that is so."""
        exchange = self._exchange
        if exchange is None or exchange.ending is not _PERSIST:
            return False
        if self._outgoing.pending or self._reader.rest:
            return False
        if self._service.is_observed:
            self._log()
        if self._body is not None:
            self._release()
        self.request = self._exchange = None
        self.environ = self._shared
        self.deadline = FROM_NEXT_TICK
        self._state = _IDLE  # from here on the connection is the leader's
        return True

    def _start_sending(self, state: State) -> None:
        if self._state is State.ABANDONED:  # meanwhile
            self._free_thread()
            return
        self._waits_since = self._service.loop.now
        self._await_progress(state)

    def _await_progress(self, state: State) -> None:
        self._become(state)
        self.deadline = min(self.deadline, self._stream_ends())
        self._untaken = self._outgoing.untaken()

    def _check_progress(self) -> None:
        """The write deadline has passed: go on only if the client has taken something."""
        if self._service.loop.now >= self._stream_ends():
            self._report_stream()
            self._lose()
        elif self._outgoing.untaken() < self._untaken:
            self._await_progress(self._state)
        else:
            self._lose()

    def _flush(self) -> None:
        """The client takes bytes again."""
        sent = self._outgoing.sent
        try:
            self._outgoing.flush()
        except ClientDisconnected:
            self._lose()
            return
        if self._outgoing.pending:
            self._await_progress(self._state)
            self._fall_behind(EVENT + (self._outgoing.sent - sent) // BODY_BYTES)
        else:
            self._end_sending(READABLE)

    def _lose(self) -> None:
        """The client is gone, or takes nothing."""
        self._outgoing.lost = True
        self._outgoing.drop()
        self._end_sending(0)

    def _end_sending(self, events: int) -> None:
        """Go on with the call that waits in ``send``, or end the exchange."""
        if self._state is not State.HELD:
            self._end()
            return
        if self._exchange is not None:
            self._exchange.waited += self._service.loop.now - self._waits_since
            self._exchange.progressed = self._service.loop.now
        self._watch(events)
        self._become(State.CALLED)
        if self._drained is not None:
            self._drained.set()

    def _end(self) -> None:
        """A response is out, or never will be: go on as its ending says."""
        request, exchange = self.request, self._exchange
        # There is no exchange after a refusal, which was logged when it was made.
        ending = exchange.ending if exchange else Ending.CLOSE
        if self._outgoing.missing:
            event(
                logging.ERROR,
                "file_cut_short",
                f"A file became shorter while it was sent: {self._outgoing.missing} bytes of it "
                "are missing",
                request_id=self.request_id,
            )
        if self._service.is_observed:
            self._log()
        self._release()
        if self._outgoing.lost or ending is Ending.ABORT:
            self.close()
        elif ending is Ending.PERSIST:
            self._next()
        elif request is None or request.keep_alive or self._reader.rest:
            # The client may be sending its next request, which would be answered by a reset.
            self._linger()
        else:
            self.close()

    def _next(self) -> None:
        """Wait for the next request, which may be here already (pipelining)."""
        if self._reader.rest:
            self._become(State.HEAD)
            self._take(b"")
        else:
            self._become(State.IDLE)
            self.deadline = FROM_NEXT_TICK

    def _refuse_costly(self, error: ProtocolError) -> None:
        self._fall_behind(self._reader.effort + REFUSAL)
        self._refuse(error)

    def _refuse(self, error: ProtocolError) -> None:
        """Answer an error, and close once the client has had a chance to read it."""
        response = error_response(error, time.time())
        level = logging.DEBUG if error.status < 500 else logging.ERROR
        event(level, "refused", f"Refused a request: {error.status} {error.message}")
        self._say_last(error.status, response)

    def _say_last(self, status: int, response: bytes) -> None:
        """Send a response of the server's own, and close."""
        duration = time.monotonic() - self._started if self.request else 0.0
        refusal = Refusal(self.request, self.environ, status)
        self._service.served(refusal, len(response), duration, NOT_CALLED)
        self._release()
        self._reader.rest = b""
        try:
            self._outgoing.put(response)
        except ClientDisconnected:
            self.close()
        else:
            self.settle()

    def _linger(self) -> None:
        """Say no more, and let the client finish, so that no reset destroys what it has not read.

        A lingering close (RFC 9112 §9.6).
        """
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()
            return
        self._started = self._service.loop.now
        self._become(State.LINGERING)

    def _discard(self) -> None:
        try:
            # Over TCP the flag spares the copy (tcp(7)).
            received = self._sock.recv_into(_DISCARDED, 0, socket.MSG_TRUNC)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            received = 0
        if received:
            self._become(State.LINGERING)
            self.deadline = min(self.deadline, self._started + LINGER_TIMEOUT)
            self._fall_behind(EVENT + received // BODY_BYTES)
        else:
            self.close()

    def _log(self) -> None:
        exchange, sent, started = self._exchange, self._outgoing.sent, self._started
        if exchange is not None:
            if not sent:
                exchange.status = CLIENT_LEFT
            self._service.served(exchange, sent, time.monotonic() - started, self._called - started)

    def _release(self) -> None:
        """Give back what belonged to one request."""
        if self._body is not None:
            self._body.close()
            self._body = None
        if self._outgoing.pending:
            self._outgoing.drop()
        self.request = self._exchange = None
        self.environ = self._shared


def _text(value: object) -> str:
    """Return a value of the environ, where an application may have put anything."""
    return str.__str__(value) if isinstance(value, str) else type(value).__name__


class _Row(NamedTuple):
    """What a connection does in one state.

    Attributes:
        events: what the poller waits for; None for what it waited for before.
        timeout: how long the state may last (seconds), by the settings.
        on_event: acts on such an event.
        on_deadline: acts on the end of the time.
    """

    events: int | None
    timeout: Callable[[Config], float]
    on_event: Callable[[Connection], None]
    on_deadline: Callable[[Connection], None]


def _never(_config: Config) -> float:
    return NEVER


_NOTHING: Final = Connection._ignore
_IN_CALL: Final = _Row(None, _never, Connection._park, _NOTHING)
_AWAY: Final = _Row(0, _never, _NOTHING, _NOTHING)
_SENDING: Final = _Row(
    WRITABLE,
    lambda config: config.write_timeout,
    Connection._flush,
    Connection._check_progress,
)
_TABLE: Final = {
    State.IDLE: _Row(
        READABLE,
        lambda config: config.keep_alive,
        Connection._receive_head,
        Connection._end_idleness,
    ),
    State.HEAD: _Row(
        READABLE,
        lambda config: config.head_timeout,
        Connection._receive_head,
        Connection._refuse_late_head,
    ),
    State.BODY: _Row(
        READABLE,
        lambda config: config.body_timeout,
        Connection._receive_body,
        Connection._refuse_late_body,
    ),
    State.WAITING: _IN_CALL,
    State.CALLED: _IN_CALL,
    State.HELD: _SENDING,
    State.SENDING: _SENDING,
    State.LINGERING: _Row(
        READABLE, lambda _config: LINGER_SILENCE, Connection._discard, Connection.close
    ),
    State.ABANDONED: _AWAY,
    State.CLOSED: _AWAY,
}
_ON_EVENT: Final = {state: row.on_event for state, row in _TABLE.items()}
