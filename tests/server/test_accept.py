"""Accepting: as many connections a turn as leave the others their turn, and all in the end."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import resource
import shutil
import socket
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from bascule import guard
from bascule.config import Config
from bascule.engine.accept import ACCEPT, SHARE_A_TURN, Acceptor
from bascule.engine.connection import BODY_BYTES, MODEST, Connection
from bascule.engine.crew import Crew
from bascule.engine.listen import open_listener
from bascule.engine.loop import Loop
from bascule.engine.room import Room
from bascule.engine.service import Client, Service
from bascule.engine.states import State
from bascule.http.head import EVENT
from bascule.told import event_log

ACCEPTS_A_TURN = SHARE_A_TURN // ACCEPT
FLOOD = 3 * ACCEPTS_A_TURN + 1
NEVER = 600.0
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def application(environ, start_response):
    """Answer."""
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


class WatchedRoom(Room):
    """Room that does something each time before somebody is accepted."""

    def __init__(self, connections: Collection[Client], limit: int) -> None:
        super().__init__(connections, limit)
        self.before: Callable[[], object] = lambda: None

    @property
    def is_left(self) -> bool:
        self.before()
        return super().is_left


class Listening:
    """A listener on a free port, its acceptor, its loop, and clients that connect."""

    def __init__(
        self,
        stack: ExitStack,
        worker_connections: int = 0,
        threads: int = 1,
        address: str = "127.0.0.1:0",
    ) -> None:
        self._stack = stack
        self.loop = Loop(NEVER)
        stack.callback(self.loop.close)
        config = Config(application="fake", bind=("127.0.0.1:0",), threads=threads)
        self.listener = open_listener(address, 1024)
        stack.callback(self.listener.socket.close)
        self.listener.publish()
        crew = Crew(threads, 0, self.loop.poll, lambda _call: None)
        self.service = Service(
            config=config,
            application=application,
            loop=self.loop,
            crew=crew,
            access_log=None,
            on_served=lambda _count: None,
            on_empty=lambda: None,
        )
        stack.callback(self._close_connections)
        self.room = WatchedRoom(self.service.connections, worker_connections)
        self.acceptor = Acceptor(self.listener, self.service, self.room)

    def _close_connections(self) -> None:
        for connection in list(self.service.connections):
            connection.close()

    @property
    def accepted(self) -> int:
        return len(self.service.connections)

    def connect(self) -> socket.socket:
        address = self.listener.socket.getsockname()
        return self._stack.enter_context(socket.create_connection(address, timeout=10))


@pytest.fixture
def listening() -> Iterator[Listening]:
    with ExitStack() as stack:
        yield Listening(stack)


def test_a_flood_is_accepted_over_several_turns(listening: Listening) -> None:
    clients = [listening.connect() for _ in range(FLOOD)]
    listening.acceptor.resume()
    for turn in (1, 2, 3):
        listening.loop.poll()
        assert listening.accepted == turn * ACCEPTS_A_TURN
    listening.loop.poll()
    assert listening.accepted == len(clients)


def test_clients_whose_requests_cost_much_are_accepted_over_more_turns(
    listening: Listening,
) -> None:
    clients = [listening.connect() for _ in range(3)]
    for number, client in enumerate(clients):
        fields = "".join(f"X-New-{number}-{each}: b\r\n" for each in range(100))
        client.sendall(f"GET / HTTP/1.1\r\n{fields}\r\n".encode())
    listening.acceptor.resume()
    for turn in (1, 2, 3):
        assert listening.accepted == turn - 1
        listening.loop.poll()
    assert listening.accepted == len(clients)


def test_a_large_first_request_waits_for_small_ones_that_came_after_it(
    listening: Listening,
) -> None:
    cookie = "Cookie: " + "x" * (MODEST + 1)
    for fields in ("Host: large\r\n" + cookie, "Host: small"):
        listening.connect().sendall(f"GET / HTTP/1.1\r\n{fields}\r\n\r\n".encode())
    listening.acceptor.resume()
    heard: list[str] = []
    while len(heard) < 2:
        listening.loop.poll()
        hosts = {each.environ["HTTP_HOST"] for each in listening.service.connections
                 if each.request}  # fmt: skip
        heard += hosts - set(heard)
    assert heard == ["small", "large"]


def test_who_is_connected_is_heard_in_the_same_turn_as_a_flood(listening: Listening) -> None:
    listening.acceptor.resume()
    active = listening.connect()
    listening.loop.poll()
    (connection,) = listening.service.connections
    active.sendall(REQUEST)
    while not connection.request:
        listening.loop.poll()
    connection.call()  # that did not cost much
    connection.hand_back()
    listening.loop.poll(wait=False)
    assert connection.request is None
    for _ in range(FLOOD):
        listening.connect()
    active.sendall(REQUEST)
    listening.loop.poll()
    assert connection.request is not None
    assert listening.accepted == 1 + ACCEPTS_A_TURN


def head_of(first: int, fields: int) -> bytes:
    """Return a request whose names nobody has sent before."""
    lines = "".join(f"X-New-{number}: b\r\n" for number in range(first, first + fields))
    return f"GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode()


@pytest.mark.parametrize(("fields", "waits"), [(90, True), (0, False)])
def test_a_client_whose_requests_cost_much_waits_behind_the_others(
    listening: Listening, *, fields: int, waits: bool
) -> None:
    listening.acceptor.resume()
    client = listening.connect()
    listening.loop.poll()
    (connection,) = listening.service.connections
    for number in range(2):
        client.sendall(head_of(100 * number, fields))
        while not connection.request:
            listening.loop.poll()
        connection.call()
        connection.hand_back()
    client.sendall(head_of(200, fields))
    listening.loop.poll()
    assert (connection.request is None) == waits
    listening.loop.poll(wait=False)
    assert connection.request is not None


def test_of_heads_that_are_large_and_wrong_one_a_turn_is_refused(listening: Listening) -> None:
    for _ in range(3):
        client = listening.connect()
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n" + MODEST * b"a: b\r\n")
    listening.acceptor.resume()
    listening.loop.poll()
    connections = [each for each in listening.service.connections if isinstance(each, Connection)]
    for refused in (1, 2, 3):
        listening.loop.poll(wait=False)
        assert sum(each.state is State.LINGERING for each in connections) == refused


LARGE = 64 * 1024 * 1024


def large(environ, start_response):
    """Answer more than a socket takes at once."""
    start_response("200 OK", [("Content-Length", str(LARGE))])
    return [bytes(LARGE)]


def is_acted_on(listening: Listening, connection: Client) -> bool:
    """Return whether the next turn acts on an event of a connection that has a deadline."""
    before = connection.deadline
    listening.loop.poll(wait=False)
    return connection.deadline != before


def test_what_a_refused_client_goes_on_sending_waits_behind_the_others(
    listening: Listening,
) -> None:
    listening.acceptor.resume()
    client = listening.connect()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(b"no request\r\n\r\n")
    listening.loop.poll()
    (connection,) = listening.service.connections
    client.sendall(b"more")
    assert is_acted_on(listening, connection)
    for _ in range(3):
        client.sendall(b"more")
        assert not is_acted_on(listening, connection)
        assert is_acted_on(listening, connection)


def test_what_is_sent_of_a_large_response_counts_behind_the_others_by_its_size(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening.service.application = large
    listening.acceptor.resume()
    client = listening.connect()
    client.sendall(REQUEST)
    listening.loop.poll()
    (connection,) = listening.service.connections
    assert isinstance(connection, Connection)
    connection.call()
    connection.settle()
    costs: list[int] = []
    monkeypatch.setattr(listening.loop, "put_behind", lambda _descriptor, cost: costs.append(cost))
    client.setblocking(False)
    while not costs and connection.state is State.SENDING:
        with contextlib.suppress(BlockingIOError):
            client.recv(LARGE)
        listening.loop.poll(wait=False)
    assert costs
    assert EVENT < costs[0] < EVENT + LARGE // BODY_BYTES


def test_closing_takes_all_that_wait_and_nobody_after_them(listening: Listening) -> None:
    listening.acceptor.resume()
    for _ in range(FLOOD):
        listening.connect()
    listening.acceptor.close()
    assert listening.accepted == FLOOD
    with pytest.raises(OSError):  # noqa: PT011  # refused, or the descriptor is gone
        listening.connect()


def test_a_listener_that_another_process_has_too_is_not_asked_once_it_is_closed(
    listening: Listening,
) -> None:
    listening.acceptor.resume()
    with socket.socket(fileno=os.dup(listening.listener.socket.fileno())) as other:
        address = other.getsockname()
        listening.acceptor.close()
        asked: list[None] = []
        listening.room.before = lambda: asked.append(None)
        with socket.create_connection(address, timeout=10):  # the other one's
            listening.loop.poll(wait=False)
        assert asked == []


def test_the_end_does_not_wait_for_a_listener_that_somebody_else_has_closed(
    listening: Listening,
) -> None:
    listening.acceptor.resume()
    os.close(listening.listener.socket.detach())  # a mistake of the application's
    with pytest.raises(OSError, match="Bad file descriptor"):
        listening.acceptor.close()


class Aborting(socket.socket):
    """A listener whose next clients have gone before they are accepted."""

    gone: list[int] = []  # noqa: RUF012

    def _accept(self) -> tuple[int, Any]:
        if self.gone:
            raise OSError(self.gone.pop(), "gone")
        return super()._accept()  # type: ignore[misc]


def test_clients_that_have_gone_before_they_are_accepted_keep_nobody_waiting() -> None:
    with ExitStack() as stack:
        listening = Listening(stack)
        listener = listening.listener
        listener.socket = Aborting(fileno=listener.socket.detach())
        stack.callback(listener.socket.close)
        listener.socket.gone = [errno.ECONNABORTED, errno.EPROTO]
        before = guard.total()
        listening.acceptor = Acceptor(listener, listening.service, listening.room)
        listening.acceptor.resume()
        listening.connect()
        listening.loop.poll(wait=False)
        assert listening.accepted == 1
        assert guard.total() == before


def test_who_finds_a_path_while_the_backlog_is_emptied_is_refused() -> None:
    with ExitStack() as stack:
        directory = tempfile.mkdtemp(prefix="bascule-")
        stack.callback(shutil.rmtree, directory)
        path = Path(directory, "app.sock")
        listening = Listening(stack, address=f"unix:{path}")
        listening.acceptor.resume()
        client, late = (stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2))
        client.connect(str(path))
        found = Path(directory, "found.sock")
        found.hardlink_to(path)  # as the kernel has found it before the path went
        tried: list[int] = []
        listening.room.before = lambda: tried.append(late.connect_ex(str(found)))
        listening.acceptor.close()
        assert listening.accepted == 1
        assert set(tried) == {errno.ECONNREFUSED}
        assert not path.exists()


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_an_application_is_told_whether_other_threads_call_it_too(threads: int) -> None:
    with ExitStack() as stack:
        listening = Listening(stack, threads=threads)
        listening.acceptor.resume()
        listening.connect()
        listening.loop.poll()
        (connection,) = listening.service.connections
        assert connection.environ["wsgi.multithread"] is (threads > 1)
        assert connection.environ["REMOTE_ADDR"] == "127.0.0.1"


def test_a_mistake_leaves_clients_in_the_backlog_until_the_next_tick(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("a mistake")

    listening.acceptor.resume()
    listening.connect()
    before = guard.total()
    with monkeypatch.context() as patch:
        patch.setattr(Room, "is_left", property(fail))
        listening.loop.poll()
        for _ in range(3):  # it is not asked in a busy loop
            listening.loop.poll(wait=False)
    assert guard.total() == before + 1
    assert listening.accepted == 0
    listening.acceptor.resume()
    listening.loop.poll()
    assert listening.accepted == 1


def test_where_no_room_is_left_clients_wait_in_the_backlog(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with ExitStack() as stack, caplog.at_level(logging.ERROR):
        listening = Listening(stack, worker_connections=1)
        listening.acceptor.resume()
        listening.connect().sendall(REQUEST)
        while not listening.accepted:
            listening.loop.poll()
        (first,) = listening.service.connections
        while not first.request:
            listening.loop.poll()
        listening.connect()
        for _ in range(3):
            listening.loop.poll(wait=False)
        assert list(listening.service.connections) == [first]
        event_log.settle()
        assert [each.getMessage().partition(":")[0] for each in caplog.records] == [
            "cannot accept connections"
        ]
        first.close()
        listening.acceptor.resume()
        listening.loop.poll()
        assert listening.accepted == 1


def test_who_was_accepted_in_a_turn_makes_room_in_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with ExitStack() as stack, caplog.at_level(logging.ERROR):
        listening = Listening(stack, worker_connections=1)
        listening.acceptor.resume()
        first, second = listening.connect(), listening.connect()
        listening.loop.poll()
        assert listening.accepted == 1
        listening.loop.poll()
        assert first.recv(1) == b""
        listening.acceptor.close()
        second.sendall(REQUEST)
        listening.loop.poll()
        (connection,) = listening.service.connections
        assert connection.request
        event_log.settle()
        assert not caplog.records


def test_one_a_turn_is_closed_to_make_room() -> None:
    with ExitStack() as stack:
        listening = Listening(stack, worker_connections=3)
        listening.acceptor.resume()
        for _ in range(3):
            listening.connect()
        listening.loop.poll()
        before = set(listening.service.connections)
        assert len(before) == 3
        for _ in range(3):
            listening.connect()
        for left in (2, 1, 0):
            listening.loop.poll()
            assert len(before & listening.service.connections) == left


def test_a_client_that_another_process_has_accepted_is_no_lack_of_room(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def steal() -> None:
        listening.listener.socket.accept()[0].close()

    with ExitStack() as stack, caplog.at_level(logging.ERROR):
        listening = Listening(stack, worker_connections=1)
        listening.acceptor.resume()
        listening.connect().sendall(REQUEST)
        while not any(each.request for each in listening.service.connections):
            listening.loop.poll()
        listening.connect()
        listening.loop.poll()  # there was a lack once
        event_log.settle()
        assert len(caplog.records) == 1
        for connection in list(listening.service.connections):
            connection.close()
        listening.room.before = steal
        listening.acceptor.resume()
        listening.loop.poll()
        listening.room.before = lambda: None
        listening.connect()
        listening.loop.poll()
        assert listening.accepted == 1
        event_log.settle()
        assert len(caplog.records) == 1


@contextlib.contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Let no more files be opened."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_where_descriptors_run_out_who_has_waited_longest_makes_room(listening: Listening) -> None:
    listening.acceptor.resume()
    idle = listening.connect()
    listening.loop.poll()
    assert listening.accepted == 1
    listening.connect().sendall(REQUEST)
    with no_descriptor_left():
        for _ in range(3):
            listening.loop.poll(wait=False)
    assert idle.recv(1) == b""
    (connection,) = listening.service.connections
    assert connection.request


def test_where_descriptors_run_out_all_of_the_backlog_are_accepted_at_the_end(
    listening: Listening,
) -> None:
    listening.acceptor.resume()
    idle = [listening.connect() for _ in range(3)]
    for _ in range(2):  # who came in the same turn would stay
        listening.loop.poll(wait=False)
    assert listening.accepted == len(idle)
    late = [listening.connect() for _ in range(2)]
    with no_descriptor_left():
        listening.acceptor.close()
    for client in late:
        client.sendall(REQUEST)
    listening.loop.poll()
    assert sum(bool(each.request) for each in listening.service.connections) == len(late)


def test_where_descriptors_run_out_and_all_have_requests_clients_wait_in_the_backlog(
    listening: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    listening.acceptor.resume()
    listening.connect().sendall(REQUEST)
    while not any(each.request for each in listening.service.connections):
        listening.loop.poll()
    listening.connect()
    with no_descriptor_left(), caplog.at_level(logging.ERROR):
        for _ in range(3):
            listening.loop.poll(wait=False)
        event_log.settle()
    assert listening.accepted == 1
    (record,) = caplog.records
    assert "Too many open files" in record.getMessage()
    listening.acceptor.resume()
    listening.loop.poll()
    assert listening.accepted == 2
