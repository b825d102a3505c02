"""A call past --timeout: it names itself, its client is answered without it, and life goes on."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

import pytest

from tests.harness.client import Ending, MalformedResponse
from tests.harness.log import lines
from tests.harness.servers import ServerProcess, bascule_command, running, scratch
from tests.harness.waiting import wait_until

from .gate import Gate
from .requests import get, head, post

SHORT = 0.3  # seconds
LATE = 1.0  # seconds after its deadline by which a call has named itself
COMMAND = bascule_command(
    "--timeout", str(SHORT), "--graceful-timeout", str(SHORT), "--access-logformat", "json"
)


def logged(server: ServerProcess, target: str) -> dict:
    """Return the access log's only line for a target."""

    def of_target() -> list[dict]:
        return [each for each in lines(server.out, "request") if each["target"] == target]

    wait_until(of_target, f"a line for {target}")
    assert len(of_target()) == 1
    return of_target()[0]


@pytest.fixture
def gate():
    """Where calls hang."""
    with scratch() as directory, Gate(directory) as gate:
        yield gate


@pytest.fixture
def server(gate):
    """A server of eight threads with little patience."""
    with running(COMMAND, "gate", env=gate.env) as server:
        yield server


def test_a_hung_request_names_itself_and_its_client_gets_504(server, gate) -> None:
    with server.client() as client:
        client.send(get("/wait?who=me", "X-Request-ID: one-of-many"))
        gate.visit()
        start = time.monotonic()
        response = client.read_final()
        assert time.monotonic() - start < SHORT + LATE
        assert (response.status, response.says_close) == (504, True)
        assert client.read_ending() is Ending.FIN
    (event,) = lines(server.err, "hung_request")
    assert event["request_id"] == "one-of-many"
    assert (event["method"], event["path"], event["peer"]) == ("GET", "/wait", "127.0.0.1")
    assert SHORT <= event["age_s"] < SHORT + LATE
    assert "gate.py" in event["stack"]
    assert "in wait\n" in event["stack"]
    assert "/wait?who=me" in event["message"]
    line = logged(server, "/wait?who=me")
    assert (line["status"], line["request_id"]) == (504, "one-of-many")
    assert line["duration_ms"] >= SHORT * 1000


def test_what_a_hung_call_says_at_last_goes_nowhere_and_its_thread_serves_again(
    server, gate
) -> None:
    for number in range(10):  # more than there are threads
        with server.client() as client:
            client.send(get(f"/wait?{number}") + get("/not-answered"))
            visit = gate.visit()
            assert client.read_final().status == 504
            with server.client() as other:
                assert other.request(get()).body == b"at once\n"
            visit.release(b"too late")
            wait_until(lambda n=number: len(lines(server.err, "hung_request_ended")) > n, "it ends")
            assert client.read_ending() in (Ending.FIN, Ending.RST)
        assert logged(server, f"/wait?{number}")["status"] == 504
    assert server.is_running()
    assert "internal_error" not in server.err
    assert "Traceback" not in server.err


def test_a_hung_upload_is_answered_while_the_application_reads_it(server, gate) -> None:
    with server.client() as client:
        client.send(post("/wait", b"x" * (2 << 20)))
        visit = gate.visit()
        assert client.read_final().status == 504
        visit.release()
        wait_until(lambda: lines(server.err, "hung_request_ended"), "the call ends")
        assert client.read_ending() is Ending.FIN


def test_a_hung_answer_to_head_has_no_body(server, gate) -> None:
    with server.client() as client:
        client.send(head("HEAD", "/wait"))
        gate.visit()
        assert client.read_final(method="HEAD").status == 504
        assert client.read_ending() is Ending.FIN


def test_a_response_that_hangs_half_way_is_cut_short(server, gate) -> None:
    with server.client() as client:
        client.send(get("/stream"))
        visit = gate.visit()
        response = client.read_final()
        assert (response.status, response.body, response.complete) == (200, b"before\n", False)
        visit.release(b"after\n")
        wait_until(lambda: lines(server.err, "hung_request_ended"), "the call ends")
    assert logged(server, "/stream")["status"] == 200


def test_a_request_in_flight_outlives_those_that_hang(gate) -> None:
    command = [*COMMAND, "--threads", "2", "--timeout", "1", "--graceful-timeout", "10"]
    with (
        running(command, "gate", env=gate.env) as server,
        server.client() as first,
        server.client() as hung,
        server.client() as late,
    ):
        first.send(get("/wait?first"))
        gate.visit()
        assert first.read_final().status == 504
        hung.send(get("/wait?hung"))
        gate.visit()
        # Begun when the other's time is almost up, so that its own is not.
        late.socket.settimeout(20)
        time.sleep(0.5)  # the client's pace
        late.send(get("/stream?late"))
        visit = gate.visit()
        assert hung.read_final().status == 504
        wait_until(lambda: lines(server.err, "draining"), "the process is to be replaced")
        visit.release(b"whole")
        assert late.read_final().body == b"before\nwhole"
        late.close()
        assert server.wait(10) != 0


@pytest.mark.parametrize("path", ["/generator", "/write"])
def test_time_in_which_the_application_waits_for_its_client_does_not_count(path: str) -> None:
    with (
        running(COMMAND, "big") as server,
        server.client(receive_buffer=65536) as client,
    ):
        start = time.monotonic()
        client.send(get(path))
        taken = 0
        while time.monotonic() - start < SHORT * 4:
            taken += len(client.socket.recv(100_000))
            time.sleep(0.05)  # the client's pace
        while taken < 8 << 20:
            block = client.socket.recv(1 << 20)
            assert block, f"ends after {taken} bytes"
            taken += len(block)
        assert not lines(server.err, "hung_request")


def test_a_call_that_ends_at_its_deadline_is_answered_once() -> None:
    """Either the application's answer or the 504, whole, and nothing after it."""
    deadline = 0.1
    command = bascule_command("--timeout", str(deadline), "--threads", "64")
    statuses: Counter[int] = Counter()
    failures: list[BaseException] = []
    chance = random.Random(7)

    def ask(target: str) -> None:
        try:
            with server.client() as client:
                response = client.request(get(target, "Connection: close"))
                assert response.complete
                assert response.body.startswith((b"slept", b"504"))
                assert client.read_ending() is Ending.FIN
                statuses[response.status] += 1
        except (AssertionError, MalformedResponse, OSError) as error:
            failures.append(error)

    with running(command, "sleeps") as server:
        for _ in range(12):
            targets = [f"/?seconds={deadline + chance.uniform(-0.01, 0.03)}" for _ in range(24)]
            threads = [threading.Thread(target=ask, args=[each]) for each in targets]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert not failures
        assert server.is_running()
    assert set(statuses) == {200, 504}
    assert statuses.total() == 12 * 24


def test_the_only_thread_that_hangs_is_named_and_answered_for_and_ends_the_process(gate) -> None:
    with (
        running([*COMMAND, "--threads", "1"], "gate", env=gate.env) as server,
        server.client() as waits,
        server.client() as client,
    ):
        assert waits.request(get()).status == 200
        client.send(post("/wait?only", b"x"))
        gate.visit()
        start = time.monotonic()
        waits.send(get("/behind"))
        response = client.read_final()
        assert time.monotonic() - start < SHORT + LATE
        assert (response.status, response.says_close) == (504, True)
        assert server.wait(10) == 1
        (event,) = lines(server.err, "hung_request")
        assert (event["method"], event["path"]) == ("POST", "/wait")
        assert SHORT <= event["age_s"] < SHORT + LATE
        assert "gate.py" in event["stack"]
        assert logged(server, "/wait?only")["status"] == 504


def test_the_only_thread_may_be_idle_for_longer_than_a_call_may_take() -> None:
    with running([*COMMAND, "--threads", "1"], "sleeps") as server, server.client() as client:
        for _ in range(2):
            assert client.request(get("/?seconds=0.1")).status == 200
            time.sleep(SHORT * 3)  # the client's pace
        assert not lines(server.err, "hung_request")


@pytest.mark.parametrize("threads", ["1", "4"])
def test_a_call_that_keeps_the_interpreter_lock_ends_the_process_with_its_stack(
    threads: str,
) -> None:
    with (
        running([*COMMAND, "--threads", threads], "holds_lock") as server,
        server.client() as client,
    ):
        start = time.monotonic()
        client.send(get("/hold"))
        assert server.wait(20) == 1
        assert time.monotonic() - start < SHORT + LATE
        assert "Timeout" in server.err
        assert "holds_lock.py" in server.err
