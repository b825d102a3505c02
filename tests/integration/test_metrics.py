"""--metrics-file: what real processes serve is counted, each request once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time

import pytest
from bascule.told.metrics import SLOTS, WorkerMetrics, claim, read

from tests.harness.servers import application_name, bascule_command, finished, running, scratch
from tests.harness.waiting import wait_until

from .gate import Gate
from .requests import get, post
from .status import read_status

QUIET = ("--access-logfile", "off")


@pytest.fixture
def directory():
    """A short path."""
    with scratch() as directory:
        yield directory


@pytest.fixture
def path(directory):
    """Where processes count."""
    return directory / "metrics"


def command(path, *arguments: str) -> list[str]:
    return bascule_command("--metrics-file", str(path), *QUIET, *arguments)


def of(path, worker: str = "") -> WorkerMetrics:
    return next(each for each in read(path) if each.worker == worker)


def total(found: WorkerMetrics) -> int:
    return sum(found.requests.values())


def ask_often(server, requests: int, clients: int = 4) -> tuple[int, int]:
    """Have several clients send a mix of requests; return the bytes sent and received."""
    sent, received, lock = 0, 0, threading.Lock()

    def ask() -> None:
        nonlocal sent, received
        mine = [get("/?0.006"), get("/"), post("/", b"x" * 100)]
        with server.client() as client:
            for number in range(requests // clients):
                data = mine[0] if number % 20 == 0 else mine[1 + number % 2]
                client.send(data)
                answer = b""
                while not answer.endswith(b"\r\n\r\nspun\n"):
                    block = client.socket.recv(65536)
                    assert block
                    answer += block
                with lock:
                    sent += len(data)
                    received += len(answer)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return sent, received


@pytest.mark.parametrize("threads", ["1", "8"])
def test_every_request_is_counted_once_whoever_ends_it(path, threads: str) -> None:
    with running(command(path, "--threads", threads), "spins") as server:
        before = wait_until(lambda: total(of(path)) and of(path), "the probe")
        sent, received = ask_often(server, 1200)
        wait_until(lambda: total(of(path)) == total(before) + 1200, "all are counted")
        after = of(path)
    assert after.requests["2xx"] == total(after) == total(before) + 1200
    assert after.duration.count == after.queue_wait.count == total(after)
    assert after.received_bytes - before.received_bytes == sent
    assert after.sent_bytes - before.sent_bytes == received
    assert after.duration.sum_s - before.duration.sum_s > 60 * 0.006
    assert dict(after.duration.buckets)[0.005] <= total(after) - 60


def test_several_processes_count_exactly_into_one_file(path) -> None:
    with (
        running(command(path, "--worker", "0"), "spins") as one,
        running(command(path, "--worker", "1"), "spins") as other,
    ):
        askers = [
            threading.Thread(target=ask_often, args=(server, requests))
            for server, requests in ((one, 400), (other, 800))
        ]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join(60)
        assert one.stop() == other.stop() == 0
    # The probe that found each one answering is a request too.
    assert [(each.worker, total(each)) for each in read(path)] == [("0", 401), ("1", 801)]


def test_counters_go_on_after_a_restart_and_after_a_kill(path) -> None:
    for starts in (1, 2, 3):
        with running(command(path), "hello") as server:
            wait_until(lambda starts=starts: total(of(path)) == starts, "the probe is counted")
            if starts == 1:
                server.signal(signal.SIGKILL)
                server.wait()
    assert (total(of(path)), of(path).starts) == (3, 3)


def test_a_process_that_overlaps_is_added_up(path) -> None:
    with running(command(path), "hello") as first, running(command(path), "hello") as second:
        assert first.stop() == second.stop() == 0
    assert (total(of(path)), of(path).starts) == (2, 2)


def test_errors_of_clients_and_of_the_server_are_counted(path, directory) -> None:
    flags = ("--threads", "1", "--backlog-requests", "0")
    with (
        Gate(directory) as gate,
        running(command(path, *flags), "gate", env=gate.env) as server,
    ):
        with server.client() as client:
            assert client.request(b"GET /\r\n\r\n").status == 400
        wait_until(lambda: of(path).requests["4xx"] == 1, "the refused head")
        with server.client() as client:
            client.send(get("/wait"))
            visit = gate.visit()
            client.reset()
            visit.release()
            wait_until(lambda: of(path).client_disconnects == 1, "the client that left")
    found = of(path)
    assert found.requests["4xx"] == 2
    assert found.queue_wait.count == total(found) - 1


def test_requests_that_no_thread_is_to_be_had_for_are_counted(path, directory) -> None:
    flags = ("--threads", "2", "--backlog-requests", "0")
    with (
        Gate(directory) as gate,
        running(command(path, *flags), "gate", env=gate.env) as server,
        server.client() as one,
        server.client() as two,
        server.client() as three,
    ):
        visits = []
        for client in (one, two):
            client.send(get("/wait"))
            visits.append(gate.visit())
        assert three.request(get("/wait")).status == 503
        found = wait_until(lambda: of(path).requests["5xx"] and of(path), "the refusal")
        assert (found.refused, found.requests["5xx"]) == (1, 1)
        for visit in visits:
            visit.release()
        assert one.read_final().status == two.read_final().status == 200
        found = wait_until(lambda: total(of(path)) == 4 and of(path), "all")
    assert found.slow_calls >= 1
    assert found.queue_wait.count == 3


@pytest.mark.parametrize("threads", ["1", "8"])
def test_hung_requests_are_counted(path, directory, threads: str) -> None:
    flags = ("--timeout", "0.2", "--threads", threads)
    with (
        Gate(directory) as gate,
        running(command(path, *flags), "gate", env=gate.env) as server,
        server.client() as client,
    ):
        client.send(get("/wait"))
        gate.visit()
        assert client.read_final().status == 504
        found = wait_until(lambda: of(path).hung_requests and of(path), "it hangs")
        wait_until(lambda: of(path).requests["5xx"] == 1, "its answer")
    assert found.hung_requests == 1


def test_the_wait_for_a_thread_is_the_queue_wait(path, directory) -> None:
    held = 0.2  # seconds
    status = directory / "status"
    flags = ("--threads", "2", "--status-socket", str(status))
    with (
        Gate(directory) as gate,
        running(command(path, *flags), "gate", env=gate.env) as server,
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(server.client()) for _ in range(3)]
        for client in clients:
            client.send(get("/wait"))
        visits = [gate.visit(), gate.visit()]
        wait_until(lambda: read_status(status)["waiting"] == 1, "the third one waits")
        time.sleep(held)
        for visit in visits:
            visit.release()
        gate.visit().release()
        for client in clients:
            assert client.read_final().status == 200
        found = wait_until(lambda: total(of(path)) == 4 and of(path), "all")
    buckets = dict(found.queue_wait.buckets)
    assert (buckets[0.1], buckets[60.0]) == (3, 4)
    assert held <= found.queue_wait.sum_s < found.duration.sum_s


def test_a_full_table_costs_the_metrics_and_no_request(path) -> None:
    kept = [claim(str(path), f"other {number}") for number in range(SLOTS)]
    with (
        running(command(path, "--access-logformat", "json"), "hello") as server,
        server.client() as client,
    ):
        assert client.request(get()).status == 200
        assert server.err.count('"event": "metrics_full"') == 1
    assert "" not in {each.worker for each in read(path)}
    assert len(kept) == SLOTS


@pytest.mark.parametrize("content", [b"something else", b"x" * 131_584])
def test_a_foreign_file_stops_the_start_with_one_line(path, content: bytes) -> None:
    path.write_bytes(content)
    done = finished("--bind", "127.0.0.1:0", "--metrics-file", str(path), application_name("hello"))
    assert done.returncode == 3
    assert done.stderr == (
        f"bascule: --metrics-file: {path} is no metrics file: name another file, or remove it\n"
    )
    assert path.read_bytes() == content


def test_a_place_without_permission_stops_the_start_with_one_line() -> None:
    place = "/proc/metrics" if os.getuid() == 0 else "/metrics"
    done = finished("--bind", "127.0.0.1:0", "--metrics-file", place, application_name("hello"))
    assert done.returncode == 3
    assert done.stderr.startswith(f"bascule: --metrics-file: cannot use {place}: ")
    assert len(done.stderr.splitlines()) == 1
