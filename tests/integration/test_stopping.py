"""What a running server does with signals, and how it ends."""

from __future__ import annotations

import contextlib
import re
import signal
import time
from pathlib import Path

import pytest

from tests.harness.client import Client, Ending
from tests.harness.servers import ServerProcess, bascule_command, running, scratch
from tests.harness.waiting import NotInTimeError, wait_until

from .gate import Gate
from .requests import get, head, post


def refuses(server: ServerProcess) -> bool:
    """Whether nobody listens at the server's address any more."""
    try:
        Client(server.address, deadline=1).close()
    except OSError:
        return True
    return False


def begin_to_drain(server: ServerProcess, number: signal.Signals = signal.SIGTERM) -> None:
    """Send the signal and wait for its first effect: nobody listens."""
    server.signal(number)
    wait_until(lambda: refuses(server), "the listening socket is closed")


def is_pending(server: ServerProcess, number: signal.Signals) -> bool:
    """Whether the process has yet to be given a signal that was sent (proc(5), ``ShdPnd``)."""
    status = Path(f"/proc/{server.pid}/status").read_text(encoding="ascii")
    pending = re.search(r"^ShdPnd:\s*([0-9a-f]+)$", status, re.MULTILINE)
    assert pending is not None
    return bool(int(pending[1], 16) >> (number - 1) & 1)


@pytest.fixture
def gate():
    """A gate for `tests.applications.gate`."""
    with scratch() as directory, Gate(directory) as opened:
        yield opened


@pytest.fixture
def server(gate):
    """Our server with two threads and the application that waits."""
    with running(bascule_command("--threads", "2"), "gate", env=gate.env) as running_server:
        yield running_server


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_in_flight_ends_with_200_and_close(number, server, gate) -> None:
    with server.client() as client:
        client.send(get("/wait"))
        visit = gate.visit()
        begin_to_drain(server, number)
        visit.release()
        response = client.read_final()
        assert (response.status, response.body) == (200, b"waited\n")
        assert response.says_close
        assert client.read_ending() is Ending.FIN
    assert server.wait() == 0
    assert "Traceback" not in server.err
    assert server.out.count('"GET /wait HTTP/1.1" 200') == 1
    assert server.err.rstrip().endswith(" Stopped")


def test_a_post_in_flight_ends_with_200(server, gate) -> None:
    with server.client() as client:
        client.send(post("/wait", b"body"))
        visit = gate.visit()
        begin_to_drain(server)
        visit.release()
        assert client.read_final().status == 200
    assert server.wait() == 0


def test_a_request_of_three_seconds_in_flight_ends_with_200() -> None:
    with running(bascule_command(), "sleeps") as server, server.client() as client:
        client.send(head("POST", "/?seconds=3", "Content-Length: 1", "Expect: 100-continue"))
        assert client.read().status == 100  # the request has begun
        client.send(b"x")
        start = time.monotonic()
        begin_to_drain(server)
        response = client.read_final()
        assert (response.status, response.body) == (200, b"slept\n")
        assert response.says_close
        assert time.monotonic() - start > 2
        assert client.read_ending() is Ending.FIN
        client.close()
        assert server.wait() == 0


def test_a_stream_in_flight_is_sent_to_its_end(server, gate) -> None:
    with server.client() as client:
        client.send(get("/stream"))
        visit = gate.visit()
        begin_to_drain(server)
        visit.release()
        response = client.read_final()
        assert (response.status, response.body) == (200, b"before\nafter\n")
        assert response.complete
    assert server.wait() == 0


def test_an_upload_in_flight_is_taken_to_its_end() -> None:
    with running(bascule_command(), "echo") as server, server.client() as client:
        client.send(head("POST", "/sized", "Content-Length: 8", "Expect: 100-continue"))
        assert client.read().status == 100
        client.send(b"half")
        begin_to_drain(server)
        client.send(b"whole")
        response = client.read_final()
        assert (response.status, response.body) == (200, b"halfwho,l")
        assert response.says_close
    assert server.wait() == 0


def test_requests_that_wait_for_a_thread_are_answered(server, gate) -> None:
    with server.client() as a, server.client() as b, server.client() as c:
        for client in (a, b, c):  # two threads: the third request waits
            client.send(get("/wait"))
        first, second = gate.visit(), gate.visit()
        begin_to_drain(server)
        first.release()
        third = gate.visit()
        second.release()
        third.release()
        assert [client.read_final().status for client in (a, b, c)] == [200] * 3
    assert server.wait() == 0


def test_connections_in_the_backlog_are_served() -> None:
    """The process is halted while clients connect: SIGTERM and they are found at the same time."""
    with running(bascule_command(), "hello") as server, contextlib.ExitStack() as stack:
        server.signal(signal.SIGSTOP)
        clients = [stack.enter_context(server.client()) for _ in range(200)]
        for client in clients:
            client.send(get())
        server.signal(signal.SIGTERM)
        server.signal(signal.SIGCONT)
        assert [client.read_final().status for client in clients] == [200] * 200
        stack.close()
        assert server.wait() == 0
        lines = [line for line in server.out.splitlines() if '"GET / HTTP/1.1" 200' in line]
        assert len(lines) >= 200  # of the harness's own as well


def test_a_client_that_left_the_backlog_takes_nobody_with_it(gate) -> None:
    with running(bascule_command("--threads", "1"), "gate", env=gate.env) as server:
        with server.client() as busy:
            busy.send(get("/wait", "Connection: close"))
            visit = gate.visit()
            server.signal(signal.SIGTERM)  # looked at when the call is over, before who came later
            wait_until(lambda: not is_pending(server, signal.SIGTERM), "the signal's delivery")
            with server.client():
                pass
            with server.client() as late:
                visit.release()
                assert busy.read_final().status == 200
                wait_until(lambda: "Stopping" in server.err, "the drain")
                assert late.request(get("/")).status == 200
        assert server.wait() == 0


def test_sigterm_leaves_an_idle_connection_open_until_the_client_closes_it(server) -> None:
    with server.client() as client:
        assert client.request(get()).status == 200
        begin_to_drain(server)
        response = client.request(get())
        assert response.status == 200
        assert response.says_close
        client.read_ending()
    assert server.wait() == 0


def test_sigterm_ends_the_process_once_idle_clients_are_gone(server) -> None:
    with server.client() as client:
        assert client.request(get()).status == 200
        begin_to_drain(server)
        assert server.is_running()
    assert server.wait() == 0


def test_sigint_closes_idle_connections_at_once(server) -> None:
    with server.client() as client:
        assert client.request(get()).status == 200
        server.signal(signal.SIGINT)
        assert client.read_ending() is Ending.FIN
    assert server.wait() == 0
    assert "Traceback" not in server.err


def test_a_second_sigint_ends_at_once_what_is_in_flight(server, gate) -> None:
    with server.client() as client:
        client.send(get("/wait"))
        visit = gate.visit()
        begin_to_drain(server, signal.SIGINT)
        server.signal(signal.SIGINT)
        assert server.wait(5) != 0
        assert visit.hung_up()
        assert "Traceback" not in server.err
        assert client.read() is None


def test_the_graceful_deadline_ends_idle_connections(gate) -> None:
    command = bascule_command("--graceful-timeout", "0.3")
    with running(command, "hello") as server, server.client() as client:
        assert client.request(get()).status == 200
        server.signal(signal.SIGTERM)
        client.read_ending()
        assert server.wait() == 0


def test_the_graceful_deadline_ends_requests_that_hang(gate) -> None:
    command = bascule_command("--graceful-timeout", "0.3")
    with running(command, "gate", env=gate.env) as server, server.client() as client:
        client.send(get("/wait"))
        visit = gate.visit()
        server.signal(signal.SIGTERM)
        assert server.wait(10) == 1
        assert visit.hung_up()
        assert "Traceback" not in server.err
        short = "1 requests were not finished within --graceful-timeout 0.3 s: GET /wait"
        assert short in server.err
        assert server.err.rstrip().endswith(" Stopped")


def test_a_second_sigterm_changes_nothing(server, gate) -> None:
    with server.client() as client:
        client.send(get("/wait"))
        visit = gate.visit()
        begin_to_drain(server)
        server.signal(signal.SIGTERM)
        with pytest.raises(NotInTimeError):
            server.wait(0.2)
        visit.release()
        assert client.read_final().status == 200
    assert server.wait() == 0


def test_max_requests_ends_the_process_after_the_last(gate) -> None:
    # The harness's own probe is the first of the four.
    command = bascule_command("--max-requests", "4", "--threads", "2")
    with running(command, "gate", env=gate.env) as server:
        with server.client() as waiting, server.client() as client:
            waiting.send(get("/wait"))
            visit = gate.visit()
            assert [client.request(get()).status for _ in range(3)] == [200] * 3
            wait_until(lambda: refuses(server), "the listening socket is closed")
            visit.release()
            response = waiting.read_final()
            assert response.status == 200
            assert response.says_close
        assert server.wait() == 0
        assert "Traceback" not in server.err


def test_a_process_to_be_recycled_serves_on_while_it_waits_for_its_replacement() -> None:
    command = bascule_command("--max-requests", "2", "--recycle-wait", "600")
    with running(command, "hello") as server, server.client() as client:
        assert [client.request(get()).status for _ in range(3)] == [200] * 3
        wait_until(lambda: "To be replaced (--max-requests 2);" in server.err, "a word")
        response = client.request(get())
        assert (response.status, response.says_close) == (200, False)
        assert server.err.count("To be replaced") == 1
        server.signal(signal.SIGTERM)
        client.close()
        assert server.wait() == 0


def test_a_process_that_nobody_replaces_serves_on_and_asks_again() -> None:
    command = bascule_command("--max-requests", "2", "--recycle-wait", "0.2")
    with running(command, "hello") as server:
        with server.client() as client:
            assert [client.request(get()).status for _ in range(2)] == [200] * 2
            wait_until(lambda: server.err.count("To be replaced") > 2, "a word, and another")
            assert client.request(get()).status == 200
        assert "Stopping" not in server.err
        server.signal(signal.SIGTERM)
        assert server.wait() == 0


@pytest.mark.parametrize("size", [100, 6000])
def test_who_waits_in_the_backlog_with_a_request_is_answered_after_sigint(size: int) -> None:
    with running(bascule_command("--threads", "2"), "hello") as server:
        server.signal(signal.SIGSTOP)
        with server.client() as client:
            client.send(get("/", f"Cookie: {'c' * size}"))
            server.signal(signal.SIGINT)
            server.signal(signal.SIGCONT)
            assert client.read_final().status == 200
        assert server.wait() == 0


def test_max_requests_jitter_adds_at_most_as_many() -> None:
    command = bascule_command("--max-requests", "3", "--max-requests-jitter", "5")
    with running(command, "hello") as server:
        while not refuses(server):
            with contextlib.suppress(ConnectionError), server.client() as client:
                client.send(get("/", "Connection: close"))
                # Who gets into a TCP backlog in the very last moment is reset.
                response = client.read()
                assert response is None or response.status == 200
        assert server.wait() == 0
        limit = re.search(r"--max-requests (\d+)", server.err)
        assert limit is not None
        assert 3 <= int(limit[1]) <= 8


def test_a_worker_that_is_killed_leaves_no_child_behind(server) -> None:
    children = f"/proc/{server.pid}/task/{server.pid}/children"
    with open(children, encoding="ascii") as file:  # noqa: PTH123  # no path of a real file
        assert file.read() == ""
