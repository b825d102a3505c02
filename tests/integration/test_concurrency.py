"""Many clients at once: each gets its own answers, in order, and none waits for another."""

from __future__ import annotations

import random
import resource
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.client import Client, Ending
from tests.harness.servers import ServerProcess, bascule_command, running, scratch
from tests.harness.waiting import wait_until

from .gate import Gate
from .requests import get, head, post


def chunked(target: str, body: bytes, size: int) -> bytes:
    """Return a POST with a chunked body."""
    blocks = [body[start : start + size] for start in range(0, len(body), size)]
    sent = b"".join(b"%x\r\n%b\r\n" % (len(block), block) for block in blocks)
    return head("POST", target, "Transfer-Encoding: chunked") + sent + b"0\r\n\r\n"


def together(work: Callable[[int], None], clients: int) -> list[str]:
    """Run `work` in a thread for each client; return what went wrong."""
    failures: list[str] = []

    def run(number: int) -> None:
        try:
            work(number)
        except Exception as error:  # reported by the caller
            failures.append(f"client {number}: {error!r}")

    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_every_client_gets_back_what_it_sent(threads: int) -> None:
    with running(bascule_command("--threads", str(threads)), "echo") as server:

        def converse(number: int) -> None:
            choose = random.Random(number)  # the same conversation in every run
            with server.client() as client:
                for turn in range(60):
                    body = f"{number}/{turn};".encode() * choose.choice((1, 10, 1000, 30_000))
                    kind = choose.randrange(4)
                    sent = post("/zero", body)
                    if kind == 1:
                        sent = chunked("/zero", body, choose.choice((100, 7000)))
                    cut = choose.randrange(len(sent)) if kind > 1 else len(sent)
                    client.send_parts([sent[:cut], sent[cut:]])
                    response = client.read_final()
                    assert response.status == 200
                    assert response.body == b",|," + body

        assert together(converse, 12) == []
        assert server.stop() == 0
        assert "Traceback" not in server.err


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_pipelined_requests_are_answered_in_order(threads: int) -> None:
    with running(bascule_command("--threads", str(threads)), "environ_dump") as server:

        def converse(number: int) -> None:
            with server.client() as client:
                for turn in range(10):
                    targets = [f"/{number}/{turn}/{each}" for each in range(20)]
                    sent = b"".join(get(target) for target in targets)
                    cut = (number * 37 + turn * 101) % len(sent)
                    client.send_parts([sent[:cut], sent[cut:]])
                    for target in targets:
                        assert f'"{target}"'.encode() in client.read_final().body

        assert together(converse, 8) == []
        assert server.stop() == 0
        assert "Traceback" not in server.err


def test_a_request_sent_during_the_call_before_it_is_answered_after_it() -> None:
    with scratch() as directory, Gate(directory) as gate:
        command = bascule_command("--threads", "2")
        with running(command, "gate", env=gate.env) as server, server.client() as client:
            client.send(get("/wait"))
            visit = gate.visit()
            client.send(get("/"))
            client.send(b"GET /wait HTT")
            with server.client() as other:
                assert other.request(get("/")).status == 200
            visit.release(b"first")
            assert client.read_final().body == b"first"
            assert client.read_final().body == b"at once\n"
            client.send(b"P/1.1\r\nHost: example.org\r\n\r\n")
            gate.visit().release(b"third")
            assert client.read_final().body == b"third"


def test_as_many_calls_as_threads_run_at_a_time() -> None:
    with scratch() as directory, Gate(directory) as gate:
        command = bascule_command("--threads", "3")
        with running(command, "gate", env=gate.env) as server:
            clients = [server.client() for _ in range(5)]
            for client in clients:
                client.send(get("/wait"))
            inside = [gate.visit() for _ in range(3)]
            assert gate.nobody_else()
            for visit in inside:
                visit.release()
            for _ in range(2):
                gate.visit().release()
            assert [client.read_final().status for client in clients] == [200] * 5
            for client in clients:
                client.close()


def test_connections_come_and_go_while_others_are_kept() -> None:
    with running(bascule_command("--threads", "4"), "hello") as server:

        def converse(number: int) -> None:
            kept = server.client()
            for turn in range(60):
                with server.client() as client:
                    assert client.request(get("/", "Connection: close")).status == 200
                    client.read_ending()
                if turn % 3 == 0:
                    assert kept.request(get()).status == 200
                if turn % 7 == 0:
                    leave(server, number)
            kept.close()

        assert together(converse, 8) == []
        assert server.stop() == 0
        assert "Traceback" not in server.err


def test_clients_that_have_waited_longest_make_room_where_descriptors_run_out() -> None:
    with running(bascule_command("--threads", "2"), "hello") as server:
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (40, 40))
        clients = [server.client() for _ in range(5)]
        assert clients[-1].request(get()).status == 200  # whoever comes now is younger
        clients += [server.client() for _ in range(60)]
        assert clients[-1].request(get()).status == 200
        assert clients[0].read_ending() is not Ending.OPEN
        wait_until(lambda: "to make room" in server.err, "the line that says so")
        with server.client() as another:
            assert another.request(get()).status == 200
        assert clients[-1].request(get()).status == 200
        for client in clients:
            client.close()
        assert server.stop() == 0
        assert "accept_paused" not in server.err


@pytest.mark.parametrize("what_runs_out", ["descriptors", "connections"])
def test_more_busy_clients_than_there_is_room_for_wait_until_one_has_gone(
    what_runs_out: str,
) -> None:
    limit = "20" if what_runs_out == "connections" else "0"
    command = bascule_command("--threads", "2", "--worker-connections", limit)
    with running(command, "echo") as server:
        busy = []
        for _ in range(20):
            busy.append(server.client())  # one after another: who says nothing makes room
            busy[-1].send(head("POST", "/sized", "Content-Length: 4", "Expect: 100-continue"))
            assert busy[-1].read().status == 100
        if what_runs_out == "descriptors":
            taken = len(list(Path(f"/proc/{server.pid}/fd").iterdir()))
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (taken, taken))
        another = server.client()
        wait_until(lambda: "cannot accept connections" in server.err, "the line that says so")
        assert busy[0].request(b"body", method="POST").body == b"body"
        busy[1].close()
        assert another.request(get()).status == 200
        for client in (*busy, another):
            client.close()
        assert server.stop() == 0


def test_no_more_connections_are_open_than_may_be() -> None:
    command = bascule_command("--threads", "2", "--worker-connections", "20")
    with running(command, "hello") as server:
        before = len(list(Path(f"/proc/{server.pid}/fd").iterdir()))
        clients = [server.client() for _ in range(100)]
        assert clients[-1].request(get()).status == 200
        assert len(list(Path(f"/proc/{server.pid}/fd").iterdir())) <= before + 20
        half = server.client()
        half.send(b"GET / HTTP/1.1\r\n")
        assert clients[-1].request(get()).status == 200  # whoever comes now is younger
        clients += [server.client() for _ in range(60)]
        assert clients[-1].request(get()).status == 200
        assert half.read_ending() is not Ending.OPEN
        for client in (*clients, half):
            client.close()
        assert server.stop() == 0


def leave(server: ServerProcess, number: int) -> None:
    """Begin a request and go, with FIN or with RST."""
    client = Client(server.address)
    client.send((b"GET / HT", get("/"), post("/", b"body")[:-2])[number % 3])
    (client.close if number % 2 else client.reset)()
