"""Fast, slow, streamed and slowly read responses, all at once: each client gets its own, once."""

from __future__ import annotations

import random
import socket
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.applications import mixed
from tests.harness.client import Client
from tests.harness.servers import ServerProcess, bascule_command, running, scratch
from tests.harness.waiting import wait_until

from .requests import get

CLIENTS = 16
ROUNDS = 30  # of each client, with up to seven requests each


class Visitor:
    """One client with two connections; its requests are the same in every run.

    Args:
        server: whom it asks.
        number: tells it from the others.
    """

    def __init__(self, server: ServerProcess, number: int) -> None:
        self._choose = random.Random(number)
        self._number = number
        self._server = server
        self.asked: list[str] = []

    def target(self, kind: str) -> str:
        """Return a target that nobody else asks for."""
        self.asked.append(f"/{kind}/{self._number}.{len(self.asked)}")
        return self.asked[-1]

    def check(self, client: Client, target: str) -> None:
        """Read a response, and hold every byte of it to its target."""
        response = client.read_final()
        assert response.status == 200, target
        assert response.body == mixed.body(target), target

    def visit(self) -> None:
        """Make all rounds."""
        with self._server.client() as first, self._server.client() as second:
            for _ in range(ROUNDS):
                kind = self._choose.choice(["fast", "slow", "stream", "whole", "long"])
                held = self.target(kind)
                second.send(get(held))
                if kind == "long":  # its generator has a thread until it is read
                    self.check(second, held)
                together = [
                    self.target(self._choice()) for _ in range(self._choose.choice([1, 1, 3]))
                ]
                first.send(b"".join(get(target) for target in together))
                for target in together:
                    self.check(first, target)
                if self._choose.randrange(4) == 0:
                    with self._server.client() as third:
                        target = self.target(self._choice())
                        third.send(get(target, "Connection: close"))
                        self.check(third, target)
                        third.read_ending()
                if kind != "long":  # nobody has read it until now
                    self.check(second, held)

    def _choice(self) -> str:
        return self._choose.choice(["fast"] * 6 + ["slow", "spin", "stream"])


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A unix socket: a TCP connection would take megabytes before it pushes back."""
    with scratch() as directory, socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(directory / "socket"))
        sock.listen(1024)
        yield sock


def all_visit(visitors: list[Visitor]) -> list[str]:
    """Have all visitors at once; return what went wrong."""
    failures: list[str] = []

    def run(visitor: Visitor) -> None:
        try:
            visitor.visit()
        except Exception as error:  # reported by the caller
            failures.append(repr(error))

    threads = [threading.Thread(target=run, args=(visitor,)) for visitor in visitors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_each_request_of_many_sorts_at_once_is_answered_once_with_its_own_bytes(
    threads: int, listener: socket.socket
) -> None:
    command = bascule_command("--threads", str(threads))
    with running(command, "mixed", listener=listener) as server:
        visitors = [Visitor(server, number) for number in range(CLIENTS)]
        assert all_visit(visitors) == []
        asked = Counter(target for visitor in visitors for target in visitor.asked)
        asked["/"] += 1  # the harness's probe
        wait_until(lambda: server.out.count("\n") >= asked.total(), "the access log's lines")
        assert server.stop() == 0
        lines = [line.split('"')[1:3] for line in server.out.splitlines()]
        assert Counter(request.split()[1] for request, _ in lines) == asked
        assert {status.split()[0] for _, status in lines} == {"200"}
        assert "Traceback" not in server.err
