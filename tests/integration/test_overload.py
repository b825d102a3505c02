"""More requests than threads and backlog: 503 at once, and the connection stays of use."""

from __future__ import annotations

import contextlib
import json
import select
from collections.abc import Iterator

from tests.harness.client import DEADLINE, Client
from tests.harness.servers import ServerProcess, bascule_command, running, scratch
from tests.harness.waiting import wait_until

from .gate import Gate, Visit
from .requests import get, head, post

THREADS = 2
BACKLOG = 3


class Full:
    """A server all of whose threads are taken, and whose backlog is full."""

    def __init__(self, server: ServerProcess, gate: Gate) -> None:
        self.server = server
        self.inside: list[tuple[Client, Visit]] = []
        for _ in range(THREADS):
            client = server.client()
            client.send(get("/wait"))
            self.inside.append((client, gate.visit()))
        # One more than may wait. Which of them is refused depends on the order in which the server
        # comes to read them; that one is tells that the others wait.
        asking = [server.client() for _ in range(BACKLOG + 1)]
        for client in asking:
            client.send(get("/?asking"))
        answered, _, _ = select.select([each.socket for each in asking], [], [], DEADLINE)
        self.waiting = [each for each in asking if each.socket not in answered]
        assert len(self.waiting) == BACKLOG
        for client in set(asking) - set(self.waiting):
            assert client.read_final().status == 503
            client.close()

    def release(self) -> None:
        """Let all go on; each is answered."""
        while self.inside:
            client, visit = self.inside.pop()
            visit.release()
            assert client.read_final().status == 200
            client.close()
        while self.waiting:
            client = self.waiting.pop()
            assert client.read_final().body == b"at once\n"
            client.close()


@contextlib.contextmanager
def full() -> Iterator[Full]:
    command = bascule_command(
        "--threads", str(THREADS), "--backlog-requests", str(BACKLOG),
        "--access-logformat", "json",
    )  # fmt: skip
    with (
        scratch() as directory,
        Gate(directory) as gate,
        running(command, "gate", env=gate.env) as server,
    ):
        found = Full(server, gate)
        try:
            yield found
        finally:
            found.release()  # so that the server can end


def lines(text: str, event: str) -> list[dict[str, object]]:
    return [each for line in text.splitlines() if (each := json.loads(line))["event"] == event]


def test_one_more_is_answered_at_once_and_may_ask_again_on_the_same_connection() -> None:
    with full() as found, found.server.client() as client:
        for sent in (get("/"), post("/", b"x" * 70_000), get("/")):
            response = client.request(sent)
            assert (response.status, response.reason) == (503, "Service Unavailable")
            assert response.one("Retry-After") == "1"
            assert response.one("X-Application") is None
            assert not response.says_close
        found.release()
        assert client.request(get("/")).status == 200


def test_a_refusal_to_head_has_no_body_and_one_to_http_1_0_says_what_becomes_of_it() -> None:
    with full() as found, found.server.client() as client:
        assert client.request(head("HEAD", "/"), method="HEAD").status == 503
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        response = client.read_final()
        assert (response.status, response.all("Connection")) == (503, ["keep-alive"])
        client.send(get("/", "Connection: close"))
        assert client.read_final().says_close
        client.read_ending()


def test_a_refusal_has_its_line_in_the_access_log_and_an_event_says_how_many() -> None:
    with full() as found, found.server.client() as client:
        for _ in range(5):
            client.request(get("/refused?a=1", "X-Request-ID: an-id"))
        server = found.server

        def refused() -> list[dict[str, object]]:
            return [each for each in lines(server.out, "request") if each["status"] == 503]

        wait_until(lambda: len(refused()) >= 6, "the lines of the access log")
        line = refused()[-1]
        assert line["target"] == "/refused?a=1"
        assert line["request_id"] == "an-id"
        assert line["bytes"]
        assert line["remote_addr"] == "127.0.0.1"

        # The first is reported at once, the others together, a second later at the earliest.
        def told() -> int:
            return sum(int(str(each["refused"])) for each in lines(server.err, "overloaded"))

        wait_until(lambda: told() == len(refused()), "the events")
        events = lines(server.err, "overloaded")
        assert len(events) <= 2 + 1  # a slow machine may need another second
        assert events[0]["level"] == "warning"
        assert "all 2 threads are taken, and 3 requests wait (--backlog-requests)" in str(
            events[0]["message"]
        )


def test_pipelined_requests_beyond_the_backlog_are_refused_in_order() -> None:
    with full() as found, found.server.client() as client:
        client.send(get("/") * 20 + get("/", "Connection: close"))
        assert [client.read_final().status for _ in range(21)] == [503] * 21
        client.read_ending()


def test_nothing_is_refused_while_the_calls_are_fast() -> None:
    # More than wait at any time, were the bound for calls that wait; and a machine that stands
    # still for a moment while a call is being made refuses nothing.
    command = bascule_command("--threads", "4", "--backlog-requests", "64")
    with running(command, "hello") as server:
        clients = [server.client() for _ in range(200)]
        for _ in range(3):
            for client in clients:
                client.send(get("/"))
            assert {client.read_final().status for client in clients} == {200}
        for client in clients:
            client.close()


def test_a_server_that_drains_refuses_and_closes() -> None:
    with full() as found, found.server.client() as client:
        assert client.request(get("/")).status == 503
        found.server.signal(15)
        wait_until(lambda: lines(found.server.err, "draining"), "the drain")
        response = client.request(get("/"))
        assert (response.status, response.says_close) == (503, True)
        found.release()
        client.close()
        assert found.server.wait() == 0
