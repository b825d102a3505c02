"""One connection, its client and its loop, with a clock that the test sets."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from bascule import guard
from bascule.config import Config
from bascule.engine.abandoned import AbandonedCall
from bascule.engine.call import Call
from bascule.engine.connection import Connection
from bascule.engine.crew import Crew
from bascule.engine.deadlines import Deadlines
from bascule.engine.loop import Loop
from bascule.engine.service import NEVER, Service
from bascule.engine.states import State
from bascule.told import event_log
from bascule.wsgi import environ

from tests.harness.waiting import wait_until

REQUEST = b"GET /page HTTP/1.1\r\nHost: example.org\r\n\r\n"
UPLOAD = b"POST /form HTTP/1.1\r\nHost: example.org\r\nContent-Length: 4\r\n\r\n"
LARGE = b"x" * (4 << 20)  # more than the kernel takes
BEGAN = 1000.0
# Each deadline is another, so that none can stand for another (seconds).
IDLE, HEAD, BODY, WRITE = 50.0, 30.0, 20.0, 40.0
MOMENT = 0.125
LONG = 15.0  # a wait that takes longer has failed


class Failing(socket.socket):
    """A socket that fails where it is told to."""

    fails_at: dict[str, BaseException] = {}  # noqa: RUF012
    then: Callable[[], None] | None = None  # what happens when something was sent

    def recv(self, *arguments: Any) -> bytes:
        self._fail("recv")
        return super().recv(*arguments)

    def send(self, *arguments: Any) -> int:
        self._fail("send")
        sent = super().send(*arguments)
        if self.then:
            self.then()
        return sent

    def close(self) -> None:
        self._fail("close")
        super().close()

    def recv_into(self, *arguments: Any) -> int:
        self._fail("recv_into")
        return super().recv_into(*arguments)

    def shutdown(self, how: int) -> None:
        self._fail("shutdown")
        super().shutdown(how)

    def _fail(self, name: str) -> None:
        if error := self.fails_at.pop(name, None):
            raise error


class Heard(Connection):
    """A connection that counts the events that the poller tells it of."""

    __slots__ = ("events",)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.events = 0

    def on_event(self, mask: int) -> None:
        self.events += 1
        super().on_event(mask)


class Counted:
    """What the access log is given."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, int]] = []
        self.ids: list[str] = []
        self.durations: list[float] = []
        self.flushes = 0

    def write(self, served: Any, size: int, duration: float) -> None:
        self.entries.append((str(served.status), size))
        self.durations.append(duration)
        self.ids.append(served.environ.get("HTTP_X_REQUEST_ID", ""))

    def flush(self) -> None:
        self.flushes += 1


class Table:
    """Where a connection and its client sit."""

    def __init__(
        self, stack: ExitStack, clock: list[float], threads: int = 1, **settings: Any
    ) -> None:
        self.clock = clock
        self.body = b"ok"
        self.heard: list[bytes] = []
        self.fields: list[tuple[str, str]] = []
        self.loop = Loop(600.0)
        stack.callback(self.loop.close)
        self.log = Counted()
        self.service = Service(
            config=Config(
                application="fake",
                threads=threads,
                keep_alive=IDLE,
                head_timeout=HEAD,
                body_timeout=BODY,
                write_timeout=WRITE,
                **settings,
            ),
            application=self._application,
            loop=self.loop,
            crew=Crew(threads, 0, self.loop.poll, lambda _call: None),
            access_log=self.log,  # type: ignore[arg-type]
            on_served=lambda _count: None,
            on_empty=lambda: self.emptied.append(True),
        )
        self.emptied: list[bool] = []
        self._deadlines = Deadlines(self.loop, self.service.connections)
        here, there = socket.socketpair()
        self.client = stack.enter_context(there)
        self.client.setblocking(False)
        self.socket = Failing(fileno=here.detach())
        self.socket.setblocking(False)
        self.socket.fails_at = {}
        shared = environ.template(("example.org", "80"), multithread=False)
        shared["REMOTE_ADDR"] = "192.0.2.1"
        self.connection = Heard(self.socket, shared, self.service)
        stack.callback(self._close_connections)

    def _close_connections(self) -> None:
        for connection in list(self.service.connections):
            connection.close()

    def _application(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        self.heard.append(environ["wsgi.input"].read())
        start_response("200 OK", [("Content-Length", str(len(self.body))), *self.fields])
        return [self.body]

    def say(self, data: bytes) -> None:
        """Have the client send something, and the server read it."""
        self.client.sendall(data)
        self.turn()

    def turn(self) -> None:
        """Have the loop do what there is to do."""
        for _ in range(4):  # a turn may leave something to the next
            self.loop.poll(wait=False)

    def answer(self) -> None:
        """Have the application called, and its answer sent."""
        assert self.connection.state is State.WAITING
        self.connection.call()
        self.connection.settle()

    def after(self, seconds: float) -> None:
        """Let time go by, then look at the deadlines."""
        self.clock[0] += seconds
        self.loop.poll(wait=False)
        self._deadlines.sweep()

    def received(self) -> bytes:
        """Return what the client has got, and not looked at yet."""
        found = b""
        try:
            while block := self.client.recv(1 << 16):
                found += block
        except (BlockingIOError, ConnectionResetError):
            pass
        return found

    @property
    def is_open(self) -> bool:
        """Whether the server has its end of the connection."""
        return self.connection in self.service.connections


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Table]]:
    """Returns a table by the settings that it is to have."""
    clock = [BEGAN]
    monkeypatch.setattr("bascule.engine.loop.monotonic", lambda: clock[0])
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    with ExitStack() as stack:
        yield lambda **settings: Table(stack, clock, **settings)


@pytest.fixture
def table(make: Callable[..., Table]) -> Table:
    """A table whose connection has been accepted."""
    found = make()
    found.connection.begin()
    return found


@pytest.fixture
def is_counted() -> Iterator[None]:
    """One mistake is noted by the end of the test."""
    before = guard.total()
    yield
    assert guard.total() == before + 1


def fail(*_: object) -> None:
    raise ValueError("a mistake")


def status(data: bytes) -> bytes:
    """Return the status of the response that bytes begin with."""
    return data.split(b" ", 2)[1] if data else b""


def test_a_client_that_says_nothing_is_closed_without_a_word(table: Table) -> None:
    assert table.connection.is_idle
    assert table.connection.waits_since == BEGAN
    table.after(IDLE - MOMENT)
    assert table.is_open
    table.after(MOMENT)
    assert not table.is_open
    assert table.client.recv(1) == b""
    assert table.connection.waits_since == NEVER


def test_a_head_has_its_time_from_its_first_byte(table: Table) -> None:
    table.after(10)
    table.say(b"GET ")
    assert not table.connection.is_idle
    table.after(HEAD - MOMENT)
    assert table.connection.waits_since == BEGAN + 10
    table.say(b"/page")
    table.after(MOMENT)
    assert status(table.received()) == b"408"


def test_a_head_that_came_with_the_connection_has_its_time_too(make: Callable[..., Table]) -> None:
    table = make()
    table.client.sendall(b"GET ")
    table.connection.begin()
    table.after(HEAD - MOMENT)
    assert table.received() == b""
    table.after(MOMENT)
    assert status(table.received()) == b"408"


@pytest.mark.parametrize("comes_late", [False, True])
@pytest.mark.parametrize("size", [100, 4095, 4096, 4097, 20_000])
def test_a_first_request_of_any_size_is_read(
    make: Callable[..., Table], size: int, comes_late: bool
) -> None:
    table = make(limit_request_line=30_000)
    target = b"/" + b"p" * (size - len(REQUEST) + len(b"page"))
    request = REQUEST.replace(b"/page", target)
    assert len(request) == size
    if comes_late:
        table.connection.begin()
        table.say(request)
    else:
        table.client.sendall(request)
        table.connection.begin()
        table.turn()
    table.answer()
    assert status(table.received()) == b"200"
    table.say(REQUEST)
    table.answer()
    assert status(table.received()) == b"200"


@pytest.mark.parametrize("comes_late", [False, True])
@pytest.mark.parametrize("cut", [4, 4095, 4096, 5000])
def test_a_first_request_may_come_in_parts(
    make: Callable[..., Table], cut: int, comes_late: bool
) -> None:
    table = make(limit_request_line=30_000)
    request = REQUEST.replace(b"/page", b"/" + b"p" * 6000)
    if comes_late:
        table.connection.begin()
        table.say(request[:cut])
    else:
        table.client.sendall(request[:cut])
        table.connection.begin()
    assert not table.connection.is_idle
    table.after(HEAD - MOMENT)
    assert table.is_open
    table.turn()
    table.say(request[cut:])
    table.answer()
    assert status(table.received()) == b"200"


def test_a_large_part_of_a_head_has_its_time_before_it_is_read(make: Callable[..., Table]) -> None:
    table = make(limit_request_line=30_000)
    table.after(10)
    table.client.sendall(b"GET /" + b"p" * 6000)
    table.connection.begin()
    assert table.connection.deadline == BEGAN + 10 + HEAD


def test_each_piece_of_a_body_has_its_time(table: Table) -> None:
    table.say(UPLOAD)
    for piece in (b"a", b"b"):
        table.after(BODY - MOMENT)
        table.say(piece)
    assert table.connection.waits_since == NEVER
    table.after(BODY - MOMENT)
    assert table.received() == b""
    table.after(MOMENT)
    assert status(table.received()) == b"408"
    assert table.heard == []


def test_a_call_has_no_deadline_of_the_connection(table: Table) -> None:
    table.say(UPLOAD + b"data")
    assert table.connection.state is State.WAITING
    assert table.connection.started == BEGAN
    assert table.connection.deadline == NEVER
    table.after(1e6)
    table.answer()
    assert status(table.received()) == b"200"
    assert table.heard == [b"data"]


def test_an_answered_client_has_its_idle_time_from_the_next_tick(table: Table) -> None:
    table.say(REQUEST)
    table.answer()
    assert status(table.received()) == b"200"
    assert table.connection.is_idle
    assert table.connection.waits_since == NEVER
    table.after(10)
    assert table.connection.waits_since == BEGAN + 10
    table.after(IDLE - MOMENT)
    assert table.is_open
    table.after(MOMENT)
    assert not table.is_open


def test_a_part_of_the_next_request_has_its_time_from_the_answer(table: Table) -> None:
    table.say(REQUEST + b"GET ")
    table.after(10)
    table.answer()
    assert status(table.received()) == b"200"
    assert table.connection.waits_since == BEGAN + 10
    table.after(HEAD - MOMENT)
    assert table.received() == b""
    table.after(MOMENT)
    assert status(table.received()) == b"408"


def test_requests_that_came_together_are_answered_in_turn(table: Table) -> None:
    table.say(REQUEST + UPLOAD + b"data" + REQUEST)
    for _ in range(3):
        table.answer()
    assert table.received().count(b"HTTP/1.1 200 OK") == 3
    assert table.heard == [b"", b"data", b""]
    assert table.connection.is_idle


def test_a_chunked_body_is_read_before_the_call(table: Table) -> None:
    table.say(UPLOAD.replace(b"Content-Length: 4", b"Transfer-Encoding: chunked"))
    assert table.connection.state is State.BODY
    table.say(b"4\r\ndata\r\n0\r\n\r\n")
    assert table.connection.deadline == NEVER
    table.answer()
    assert table.heard == [b"data"]


def test_each_answer_is_logged_with_its_own_size_and_time(table: Table) -> None:
    sizes = []
    for _ in range(2):
        table.say(REQUEST)
        assert table.connection.deadline == NEVER
        table.after(3)
        table.answer()
        sizes.append(len(table.received()))
    assert table.log.entries == [("200", size) for size in sizes]
    assert table.log.durations == [3, 3]


def test_the_poller_tells_once_of_more_that_comes_in_a_call(table: Table) -> None:
    table.say(REQUEST)
    before = table.connection.events
    table.client.sendall(REQUEST)
    for _ in range(3):
        table.turn()
    assert table.connection.events == before + 1


@pytest.mark.parametrize("is_parked", [False, True])
def test_a_thread_that_ends_a_call_gives_the_connection_back(table: Table, is_parked: bool) -> None:
    table.say(REQUEST)
    if is_parked:
        table.say(REQUEST)
    table.connection.call()
    table.connection.hand_back()
    assert table.connection.is_idle
    assert table.log.flushes == 1
    if not is_parked:
        table.client.sendall(REQUEST)
    table.turn()
    assert table.connection.state is State.WAITING
    assert table.received().count(b"HTTP/1.1 200 OK") == 1


def test_a_call_that_ends_in_the_moment_of_parking_is_followed_by_the_next(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.say(REQUEST)
    table.connection.call()
    unregister = table.loop.unregister

    def end_call(descriptor: int) -> None:
        table.connection.hand_back()
        unregister(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(table.loop, "unregister", end_call)
        table.say(REQUEST)
    table.turn()
    assert table.connection.state is State.WAITING


def test_a_thread_that_ends_a_call_leaves_a_large_answer_to_the_leader(table: Table) -> None:
    table.body = LARGE
    table.say(REQUEST)
    table.connection.call()
    table.connection.hand_back()
    assert table.connection.state is State.CALLED
    table.turn()
    assert table.connection.state is State.SENDING


@pytest.mark.usefixtures("is_counted")
def test_a_mistake_while_a_connection_is_given_back_costs_this_one(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table.log, "flush", fail)
    table.say(REQUEST)
    table.connection.call()
    table.connection.hand_back()
    table.turn()
    assert not table.is_open


@pytest.mark.usefixtures("is_counted")
def test_a_mistake_in_the_gateway_costs_this_connection(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.say(REQUEST)
    monkeypatch.setattr("bascule.wsgi.gateway.Exchange.run", fail)
    table.answer()
    assert not table.is_open
    assert table.received() == b""


def test_a_closed_connection_is_closed_once_and_hears_no_more(table: Table) -> None:
    table.say(b"GET ")
    before = table.connection.events
    with socket.socket(fileno=os.dup(table.socket.fileno())):  # as a forked process has it
        table.connection.close()
        table.client.sendall(b"/page")
        table.turn()
    table.connection.close()
    assert table.connection.events == before
    assert table.connection.is_stuck
    assert len(table.emptied) == 1


def test_a_forked_process_closes_the_socket_and_nothing_else(table: Table) -> None:
    table.connection.let_go()
    assert table.client.recv(1) == b""
    assert table.is_open


def test_who_is_turned_away_is_told_when_to_come_again_and_may_stay(table: Table) -> None:
    table.say(REQUEST.replace(b"\r\n\r\n", b"\r\nX-Request-ID: an-id\r\n\r\n"))
    table.connection.turn_away(3.2)
    data = table.received()
    assert status(data) == b"503"
    assert b"\r\nRetry-After: 4\r\n" in data
    assert table.heard == []
    assert table.log.entries == [("503", len(data))]
    assert table.log.ids == ["an-id"]
    table.say(REQUEST)
    table.answer()
    assert status(table.received()) == b"200"


def test_reading_the_body_is_progress(table: Table) -> None:
    silent = []

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        call = Call(0, table.connection, time.monotonic() - 1000)
        for _ in range(2):
            silent.append(table.connection.silent_time(call, time.monotonic()))
            environ["wsgi.input"].read()
        start_response("200 OK", [])
        return []

    table.service.application = application
    table.say(UPLOAD + b"data")
    table.answer()
    assert silent[0] >= 1000 > silent[1]


def test_a_stream_ends_when_it_has_lasted_for_as_long_as_it_may(
    make: Callable[..., Table], caplog: pytest.LogCaptureFixture
) -> None:
    table = make(max_stream_duration=1000.0)
    table.connection.begin()

    def application(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [])
        yield b"first"
        table.clock[0] += 999.0
        yield b"second"
        table.clock[0] += 1.0
        yield b"third"

    table.service.application = application
    table.say(REQUEST)
    with caplog.at_level(logging.WARNING):
        table.answer()
        event_log.settle()
    assert not table.is_open
    data = table.received()
    assert b"second" in data
    assert b"third" not in data
    (record,) = caplog.records
    assert "GET /page was cut short" in record.getMessage()
    assert (record.method, record.path, record.peer) == ("GET", "/page", "192.0.2.1")


def test_more_that_comes_in_a_call_waits_for_its_end(table: Table) -> None:
    table.say(REQUEST)
    table.say(REQUEST)
    table.answer()
    assert table.connection.is_idle
    table.turn()
    assert table.connection.state is State.WAITING
    table.answer()
    assert table.received().count(b"HTTP/1.1 200 OK") == 2


def test_a_client_that_leaves_in_a_call_is_noticed_after_it(table: Table) -> None:
    table.say(REQUEST)
    table.client.shutdown(socket.SHUT_WR)
    table.turn()
    assert table.connection.state is State.WAITING
    table.answer()
    table.turn()
    assert not table.is_open
    assert status(table.received()) == b"200"


def test_a_client_that_leaves_in_a_head_or_body_gets_no_answer(make: Callable[..., Table]) -> None:
    for begun in (b"GET ", UPLOAD + b"da"):
        table = make()
        table.connection.begin()
        table.say(begun)
        table.client.shutdown(socket.SHUT_WR)
        table.turn()
        assert not table.is_open
        assert table.received() == b""


# --- the end (RFC 9112 §9.6) ---------------------------------------------------------------------


def test_who_is_refused_may_be_silent_for_two_seconds(table: Table) -> None:
    table.after(10)
    table.say(b"bad\r\n\r\n")
    assert status(table.received()) == b"400"
    assert table.connection.waits_since == BEGAN + 10
    table.after(2 - MOMENT)
    assert table.is_open
    table.after(MOMENT)
    assert not table.is_open


def test_who_is_refused_may_go_on_sending_for_thirty_seconds(table: Table) -> None:
    table.say(b"bad\r\n\r\n")
    for _ in range(29):
        table.after(1)
        table.say(b"more")
    table.after(1 - MOMENT)
    assert table.is_open
    table.after(MOMENT)
    assert not table.is_open


def test_who_is_refused_and_leaves_is_closed_at_once(table: Table) -> None:
    table.say(b"bad\r\n\r\n")
    table.client.shutdown(socket.SHUT_WR)
    table.turn()
    assert not table.is_open


def test_a_refusal_is_logged_once_with_its_size(table: Table) -> None:
    table.say(b"bad\r\n\r\n")
    data = table.received()
    table.client.shutdown(socket.SHUT_WR)
    table.turn()
    assert table.log.entries == [("400", len(data))]


@pytest.mark.parametrize(("refused", "level"), [(400, logging.DEBUG), (500, logging.ERROR)])
def test_a_refusal_is_an_event_and_an_error_where_it_is_the_server_s(
    table: Table, caplog: pytest.LogCaptureFixture, refused: int, level: int
) -> None:
    with caplog.at_level(logging.DEBUG, event_log.LOGGER.name):
        if refused == 400:
            table.say(b"bad\r\n\r\n")
        else:
            table.say(REQUEST)
            table.connection.give_up()
        event_log.settle()
    (record,) = caplog.records
    assert record.levelno == level
    assert str(refused) in record.getMessage()


def test_a_refusal_took_the_time_since_the_head_was_complete(make: Callable[..., Table]) -> None:
    for begun, took in ((b"GET ", 0.0), (UPLOAD, max(HEAD, BODY))):
        table = make()
        table.connection.begin()
        table.say(begun)
        table.after(max(HEAD, BODY))
        assert status(table.received()) == b"408"
        assert table.log.durations == [took]


def test_who_asked_for_the_end_and_did_not_send_all_may_read_why(table: Table) -> None:
    table.say(UPLOAD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    table.after(BODY)
    assert status(table.received()) == b"408"
    assert table.connection.state is State.LINGERING


def test_an_answer_is_no_event(table: Table, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        table.say(REQUEST)
        table.answer()
        table.body = LARGE
        table.say(REQUEST)
        table.answer()
        while table.connection.state is State.SENDING:
            table.received()
            table.turn()
        event_log.settle()
    assert caplog.records == []


def test_who_asked_for_the_end_is_closed_without_waiting_for_more(table: Table) -> None:
    table.say(REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    table.answer()
    assert not table.is_open
    assert b"Connection: close" in table.received()


def test_who_has_sent_more_after_asking_for_the_end_is_not_reset(table: Table) -> None:
    table.say(REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + REQUEST)
    table.answer()
    assert table.connection.state is State.LINGERING
    assert table.received().count(b"HTTP/1.1") == 1


def test_who_expects_to_go_on_is_waited_for_where_the_answer_ends_it(table: Table) -> None:
    table.service.drain()
    table.say(REQUEST)
    table.answer()
    assert b"Connection: close" in table.received()
    assert table.connection.state is State.LINGERING


def test_who_sent_more_in_the_last_call_is_listened_to_until_he_leaves(table: Table) -> None:
    table.service.drain()
    table.say(REQUEST)
    table.say(REQUEST)
    table.answer()
    assert table.connection.state is State.LINGERING
    table.client.shutdown(socket.SHUT_WR)
    table.turn()
    assert not table.is_open


# --- sending -------------------------------------------------------------------------------------


def test_a_client_that_takes_nothing_is_given_up(table: Table) -> None:
    table.body = LARGE
    table.say(REQUEST)
    table.answer()
    assert table.connection.state is State.SENDING
    table.after(WRITE - MOMENT)
    assert table.is_open
    table.after(MOMENT)
    assert not table.is_open
    ((code, size),) = table.log.entries
    assert code == "200"
    assert 0 < size < len(LARGE)


def test_a_client_that_takes_something_has_its_time_anew(table: Table) -> None:
    table.body = LARGE
    table.say(REQUEST)
    table.answer()
    taken = 0
    for _ in range(3):
        table.after(WRITE - MOMENT)
        taken += len(table.client.recv(1 << 16))
        table.after(MOMENT)
        assert table.is_open
    table.after(WRITE - MOMENT)
    assert table.is_open
    while table.connection.state is State.SENDING:
        taken += len(table.received())
        table.turn()
    taken += len(table.received())
    assert taken > len(LARGE)
    assert table.connection.is_idle
    assert table.connection.request is None
    assert table.connection.waits_since == NEVER
    assert table.log.entries == [("200", taken)]


def test_a_client_that_took_something_once_is_given_up_all_the_same(table: Table) -> None:
    table.body = LARGE
    table.say(REQUEST)
    table.answer()
    table.after(WRITE - MOMENT)
    table.client.recv(1 << 16)
    table.after(MOMENT)
    table.after(WRITE - MOMENT)
    assert table.is_open
    table.after(MOMENT)
    assert not table.is_open


def test_a_client_that_leaves_while_it_is_sent_to_is_logged_once(table: Table) -> None:
    table.body = LARGE
    table.say(REQUEST)
    table.answer()
    table.client.close()
    table.turn()
    assert not table.is_open
    assert len(table.log.entries) == 1


def test_a_client_that_left_before_its_answer_is_logged_as_such(table: Table) -> None:
    table.say(REQUEST)
    table.socket.fails_at["send"] = BrokenPipeError()
    table.answer()
    assert not table.is_open
    assert table.log.entries == [("499", 0)]


def test_a_file_that_is_being_sent_is_closed_with_the_connection(table: Table) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [])
        file = tempfile.TemporaryFile()  # noqa: SIM115  # the server closes it
        file.write(LARGE)
        file.seek(0)
        return environ["wsgi.file_wrapper"](file)

    table.service.application = application
    table.say(REQUEST)
    table.answer()
    assert table.connection.state is State.SENDING
    assert len(list(Path("/proc/self/fd").iterdir())) == before + 1
    table.connection.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before - 1  # the socket, too


def test_the_next_request_waits_until_the_answer_is_taken(table: Table) -> None:
    table.body = LARGE
    table.say(REQUEST + REQUEST)
    table.answer()
    assert table.connection.state is State.SENDING
    while table.connection.state is State.SENDING:
        table.received()
        table.turn()
    assert table.connection.state is State.WAITING


def test_a_lone_thread_serves_the_loop_while_its_stream_waits_for_the_client(
    table: Table,
) -> None:
    looked = []

    def look() -> float:
        looked.append(table.connection.state)
        table.received()
        return NEVER

    table.say(REQUEST)
    table.fields = [("Transfer-Encoding", "chunked")]
    table.loop.on_turn = look
    table.connection.send(LARGE)
    assert State.HELD in looked
    assert table.connection.state is State.CALLED


# --- what is asked of it -------------------------------------------------------------------------


def test_its_kind_is_the_path_of_the_request_in_hand(table: Table) -> None:
    assert table.connection.kind == ""
    table.say(REQUEST)
    assert table.connection.kind == "/page"
    table.answer()
    assert table.connection.kind == ""
    assert table.connection.request is None
    assert "PATH_INFO" not in table.connection.environ


def test_it_is_called_from_when_the_application_has_its_request(table: Table) -> None:
    table.say(REQUEST)
    assert not table.connection.is_called
    table.connection.call()
    assert table.connection.is_called
    table.connection.settle()
    assert not table.connection.is_called


def test_an_interim_response_is_sent_to_who_waits_for_it(make: Callable[..., Table]) -> None:
    expecting = UPLOAD.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    for sent, expected in ((expecting, interim), (expecting + b"d", b""), (UPLOAD, b"")):
        table = make()
        table.connection.begin()
        table.say(sent)
        assert table.received() == expected


@pytest.mark.parametrize("begun", [b"", b"GET "])
def test_a_client_that_is_lost_while_it_is_read_from_is_closed(table: Table, begun: bytes) -> None:
    if begun:
        table.say(begun)
    table.socket.fails_at["recv"] = ConnectionResetError()
    table.say(b"GET ")
    assert not table.is_open
    assert table.received() == b""


def test_a_read_that_finds_nothing_after_all_is_tried_again(table: Table) -> None:
    for data in (REQUEST[:10], REQUEST[10:]):
        table.socket.fails_at["recv"] = BlockingIOError()
        table.say(data)
    table.answer()
    assert status(table.received()) == b"200"


def test_a_client_that_is_lost_at_the_end_is_closed(make: Callable[..., Table]) -> None:
    for place in ("shutdown", "recv_into"):
        table = make()
        table.connection.begin()
        table.socket.fails_at[place] = ConnectionResetError()
        table.client.sendall(b"bad\r\n\r\n")
        table.turn()
        with contextlib.suppress(BrokenPipeError):
            table.say(b"more")
        assert not table.is_open


def test_a_client_that_is_lost_while_it_is_told_to_go_on_is_noticed_later(table: Table) -> None:
    table.socket.fails_at["send"] = ConnectionResetError()
    table.say(UPLOAD.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
    table.say(b"data")
    table.answer()
    assert table.heard == [b"data"]


def test_a_client_that_is_lost_before_a_refusal_is_closed(table: Table) -> None:
    table.socket.fails_at["send"] = ConnectionResetError()
    table.say(b"bad\r\n\r\n")
    assert not table.is_open


@pytest.mark.usefixtures("is_counted")
@pytest.mark.parametrize("size", [10, 5000])
@pytest.mark.parametrize("comes_late", [False, True])
def test_a_mistake_of_the_server_s_at_the_first_request_costs_one_connection(
    make: Callable[..., Table],
    monkeypatch: pytest.MonkeyPatch,
    comes_late: bool,
    size: int,
) -> None:
    table = make()
    monkeypatch.setattr("bascule.http.head.HeadReader.feed", fail)
    if not comes_late:
        table.client.sendall(b"x" * size)
    table.connection.begin()
    if comes_late:
        table.client.sendall(b"x" * size)
    table.turn()
    assert not table.is_open


@pytest.mark.usefixtures("is_counted")
@pytest.mark.parametrize(
    "place", ["bascule.engine.loop.Loop.register", "bascule.engine.connection.error_response"]
)
def test_a_mistake_at_the_beginning_or_at_a_deadline_costs_one_connection(
    make: Callable[..., Table], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    table = make()
    table.client.sendall(b"GET ")
    with monkeypatch.context() as patch:
        patch.setattr(place, fail)
        table.connection.begin()
        table.after(HEAD)
    assert not table.is_open
    assert table.received() == b""


@pytest.mark.usefixtures("is_counted")
def test_a_mistake_of_the_server_s_costs_one_connection(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.say(b"GET ")
    monkeypatch.setattr("bascule.http.head.HeadReader.feed", fail)
    table.say(b"/page")
    assert not table.is_open


# --- a call that hangs ---------------------------------------------------------------------------


def test_a_call_s_age_is_that_of_the_call_and_ends_with_it(table: Table) -> None:
    table.say(REQUEST)
    connection, call = table.connection, Call(0, table.connection, BEGAN + 1)
    for look in (connection.working_time, connection.silent_time):
        assert look(call, BEGAN + 6) == 5
    assert connection.is_stuck
    table.answer()
    for look in (connection.working_time, connection.silent_time):
        assert look(call, BEGAN + 6) == 0
    assert not connection.is_stuck


def test_who_waits_or_is_sent_to_is_not_stuck(table: Table) -> None:
    assert not table.connection.is_stuck
    table.body = LARGE
    table.say(REQUEST)
    table.answer()
    assert table.connection.state is State.SENDING
    assert not table.connection.is_stuck


def test_who_is_given_up_before_anything_was_sent_is_told_so(table: Table) -> None:
    table.say(REQUEST)
    table.connection.give_up()
    assert status(table.received()) == b"500"
    assert table.log.entries[0][0] == "500"


def test_who_is_given_up_without_a_request_is_closed(table: Table) -> None:
    table.connection.give_up()
    assert not table.is_open
    assert table.client.recv(1) == b""


@pytest.mark.usefixtures("is_counted")
def test_a_mistake_at_the_end_of_an_answer_costs_one_connection(table: Table) -> None:
    table.say(REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    table.log.write = fail  # type: ignore[method-assign]
    table.answer()
    assert not table.is_open


def test_who_is_given_up_later_is_closed(table: Table) -> None:
    table.say(REQUEST)
    table.answer()
    table.received()
    table.connection.give_up()
    assert not table.is_open
    assert table.connection.state is State.CLOSED
    assert table.client.recv(1) == b""


def test_who_could_not_be_closed_is_stuck_and_given_up(table: Table) -> None:
    table.socket.fails_at["close"] = ValueError()
    with pytest.raises(ValueError):  # noqa: PT011
        table.connection.close()
    assert table.is_open
    assert table.connection.is_stuck
    table.connection.give_up()
    assert not table.is_open
    assert table.client.recv(1) == b""


def test_the_body_of_a_call_that_was_given_up_is_closed_at_its_end(table: Table) -> None:
    body = b"b" * (3 << 19)  # more than is kept in memory
    before = len(list(Path("/proc/self/fd").iterdir()))
    table.say(UPLOAD.replace(b": 4", b": %d" % len(body)))
    for at in range(0, len(body), 1 << 16):
        table.say(body[at : at + (1 << 16)])
    assert table.connection.state is State.WAITING
    assert len(list(Path("/proc/self/fd").iterdir())) == before + 1
    AbandonedCall(Call(0, table.connection, BEGAN), table.connection, table.service)
    table.after(2)
    table.connection.discard()
    assert len(list(Path("/proc/self/fd").iterdir())) == before - 1  # the socket, too


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_the_client_of_a_call_that_is_given_up_is_told_so(table: Table, method: bytes) -> None:
    table.say(REQUEST.replace(b"GET", method))
    AbandonedCall(Call(0, table.connection, BEGAN), table.connection, table.service)
    assert table.connection.state is State.ABANDONED
    assert table.connection not in table.service.connections
    data = table.received()
    assert status(data) == b"504"
    assert data.endswith(b"\r\n\r\n") == (method == b"HEAD")
    assert table.log.entries == [("504", len(data))]
    assert not table.is_open
    (successor,) = table.service.connections
    assert successor.waits_since == BEGAN  # for the client to leave
    table.after(2)
    assert not table.service.connections


def test_a_response_that_has_begun_is_cut_short(table: Table) -> None:
    table.body = LARGE
    table.say(REQUEST)
    table.connection.call()
    sent = len(table.received())
    assert sent
    AbandonedCall(Call(0, table.connection, BEGAN), table.connection, table.service)
    assert not table.service.connections
    assert table.received() == b""
    assert [code for code, _ in table.log.entries] == ["200"]


# --- a thread that waits for its client ----------------------------------------------------------


class Streaming:
    """A call on a thread of its own that streams more than its client takes."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.gate = threading.Event()  # opened for the call to go on
        self._thread = threading.Thread(target=self._call, daemon=True)
        table.service.application = self._application
        table.connection.begin()
        table.say(REQUEST)
        self.call = Call(0, table.connection, table.loop.now)
        self._thread.start()
        self.turn_until(State.HELD)

    def _application(self, _environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [("Content-Length", str(len(LARGE) + 3))])
        yield LARGE
        self.gate.wait(LONG)
        yield b"end"

    def _call(self) -> None:
        self.table.connection.call()
        if self.table.connection.state is State.ABANDONED:
            self.table.connection.discard()
        else:
            self.table.connection.hand_back()

    def turn_until(self, state: State) -> bytes:
        """Have the loop turn until the connection is in a state; return what the client gets."""
        taken = []

        def pause(_seconds: float) -> None:
            self.table.loop.poll(wait=False)
            if state is not State.HELD:
                taken.append(self.table.received())

        wait_until(lambda: self.table.connection.state is state, str(state), pause=pause)
        return b"".join(taken)

    def end(self) -> None:
        """Have the call end."""
        self.gate.set()
        self._thread.join(LONG)
        assert not self._thread.is_alive()
        self.table.turn()


def test_a_thread_goes_on_with_its_stream_once_the_client_has_taken_it(
    make: Callable[..., Table],
) -> None:
    table = make(threads=2)
    stream = Streaming(table)
    assert table.connection.is_streaming
    assert not table.connection.is_stuck
    assert table.connection.working_time(stream.call, BEGAN + 5) == 0
    table.after(7)
    taken = stream.turn_until(State.CALLED)
    assert table.connection.is_streaming
    assert table.connection.deadline == NEVER
    before = table.connection.events
    table.turn()
    assert table.connection.events == before
    # It is, unless its thread goes on, which may take the thread a moment to see.
    wait_until(lambda: table.connection.is_stuck, "the thread has been let go")
    assert table.connection.working_time(stream.call, BEGAN + 10) == 3
    assert table.connection.silent_time(stream.call, BEGAN + 10) == 3
    stream.end()
    taken += table.received()
    assert taken.endswith(b"end")
    assert table.connection.is_idle
    assert not table.connection.is_streaming


def test_a_thread_whose_client_takes_nothing_ends_its_stream(make: Callable[..., Table]) -> None:
    table = make(threads=2)
    stream = Streaming(table)
    table.after(WRITE)
    stream.end()
    assert not table.is_open
    assert len(table.log.entries) == 1


def test_a_thread_whose_client_leaves_ends_its_stream(make: Callable[..., Table]) -> None:
    table = make(threads=2)
    stream = Streaming(table)
    table.client.close()
    table.turn()
    stream.end()
    assert not table.is_open
    assert len(table.log.entries) == 1


def test_a_stream_ends_in_time_though_its_client_takes_nothing(
    make: Callable[..., Table], caplog: pytest.LogCaptureFixture
) -> None:
    table = make(threads=2, max_stream_duration=WRITE / 2)
    stream = Streaming(table)
    with caplog.at_level(logging.WARNING):
        table.after(WRITE / 2)
        stream.end()
        event_log.settle()
    assert not table.is_open
    assert "was cut short" in caplog.text


def test_a_thread_that_waits_in_a_call_that_is_given_up_is_let_go(
    make: Callable[..., Table], caplog: pytest.LogCaptureFixture
) -> None:
    table = make(threads=2)
    stream = Streaming(table)
    with caplog.at_level(logging.WARNING):
        AbandonedCall(stream.call, table.connection, table.service)
        stream.end()
        event_log.settle()
    assert not table.service.connections
    assert "A call that was given up has ended" in caplog.text


def test_a_thread_that_waits_in_a_connection_that_is_given_up_is_let_go(
    make: Callable[..., Table],
) -> None:
    table = make(threads=2)
    stream = Streaming(table)
    table.connection.give_up()
    stream.end()
    assert not table.is_open


def test_a_thread_whose_call_is_given_up_while_it_sends_is_let_go(
    make: Callable[..., Table],
) -> None:
    table = make(threads=2)
    table.connection.begin()
    table.say(REQUEST)

    def give_up() -> None:
        table.socket.then = None
        AbandonedCall(Call(0, table.connection, BEGAN), table.connection, table.service)

    def stream(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [])
        yield LARGE

    table.socket.then = give_up
    table.service.application = stream
    thread = threading.Thread(target=table.connection.call, daemon=True)
    thread.start()
    for _ in range(1000):
        table.loop.poll(wait=False)
        thread.join(0.01)
        if not thread.is_alive():
            break
    assert not thread.is_alive()
