"""The status's thread: when it answers, when it pauses, and what it survives."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bascule import guard
from bascule.watch.status_socket import StatusSocket

from tests.harness.servers import scratch


class Poller:
    """Waits as the test says, and notes for how long it was to wait (milliseconds).

    Args:
        steps: for how long each wait takes (seconds), and whether a client comes then; after the
            last no wait ends.
        meanwhile: what goes on while it waits.
    """

    def __init__(self, *steps: tuple[float, bool], meanwhile: Callable[[], object]) -> None:
        self._meanwhile = meanwhile
        self.now = 1024.0
        self.waits: list[float] = []
        self.registered: list[tuple[socket.socket, int]] = []
        self.is_over = threading.Event()
        self._steps = list(steps)

    def register(self, sock: socket.socket, events: int) -> None:
        self.registered.append((sock, events))

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        self.waits.append(timeout)
        if not self._steps:
            self.is_over.set()
            threading.Event().wait()
        self._meanwhile()
        seconds, has_client = self._steps.pop(0)
        self.now += seconds
        return [(self.registered[0][0].fileno(), select.POLLIN)] if has_client else []


@pytest.fixture
def path() -> Iterator[Path]:
    with scratch() as directory:
        yield directory / "status"


@pytest.fixture
def turn(path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Poller]:
    """Have a socket's thread wait as the test says, until it has."""

    def start(
        document: Callable[[], dict[str, object]],
        on_pause: Callable[[], None],
        *steps: tuple[float, bool],
        meanwhile: Callable[[], object] = lambda: None,
    ) -> Poller:
        poller = Poller(*steps, meanwhile=meanwhile)
        monkeypatch.setattr("select.poll", lambda: poller)
        monkeypatch.setattr("time.monotonic", lambda: poller.now)
        StatusSocket(str(path)).publish(document, on_pause)
        assert poller.is_over.wait(10)
        return poller

    return start


def test_it_waits_for_a_client_until_the_next_pause(turn: Callable[..., Poller]) -> None:
    pauses: list[str] = []
    poller = turn(
        dict,
        lambda: pauses.append("pause"),
        *((0.25, False), (0.5, False), (0.25, False), (1.0, False), (1.5, False), (0.5, False)),
    )
    assert poller.waits == [1000, 750, 250, 1000, 1000, 1000, 500]
    assert len(pauses) == 3
    ((_, events),) = poller.registered
    assert events == select.POLLIN


def test_what_fails_is_noted_and_the_next_client_is_told(
    path: Path, turn: Callable[..., Poller]
) -> None:
    calls: list[int] = []
    clients: list[socket.socket] = []
    before = guard.total()

    def document() -> dict[str, object]:
        calls.append(len(calls))
        if len(calls) == 1:
            clients.append(socket.socket(socket.AF_UNIX))
            clients[0].settimeout(10)
            clients[0].connect(str(path))
            raise ValueError
        return {"call": len(calls)}

    def fail() -> None:
        raise ValueError

    turn(document, fail, (0.5, True), (0.5, True), (1.0, False))
    with clients[0] as client:
        assert client.recv(100) == b'{"call": 2}\n'
        assert client.recv(100) == b""
    assert guard.total() == before + 3  # the first look, and two pauses


def test_clients_are_told_though_others_take_every_descriptor(
    path: Path, turn: Callable[..., Poller]
) -> None:
    clients = [socket.socket(socket.AF_UNIX) for _ in range(2)]
    taken: list[int] = []

    def take_all() -> None:
        if not taken:
            for client in clients:
                client.settimeout(10)
                client.connect(str(path))
            soft = max(int(each.name) for each in Path("/proc/self/fd").iterdir()) + 1
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, limits[1]))
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        turn(dict, lambda: None, (0.1, True), (0.1, True), meanwhile=take_all)
    finally:
        for each in taken:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    for client in clients:
        with client:
            assert client.recv(100) == b"{}\n"


def test_a_forked_process_closes_it(path: Path) -> None:
    found = StatusSocket(str(path))
    before = len(list(Path("/proc/self/fd").iterdir()))
    found.let_go()
    assert len(list(Path("/proc/self/fd").iterdir())) == before - 1
