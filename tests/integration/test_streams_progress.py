"""A call that goes on is not hung, however long it takes; how long it may stream is a setting."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.applications.progresses import LARGE
from tests.harness.client import Client, Ending
from tests.harness.log import lines
from tests.harness.servers import bascule_command, running
from tests.harness.waiting import wait_until

from .gate import Gate
from .requests import get, post
from .status import read_status

TIMEOUT = 1.0  # seconds
STEPS = 10
STEP = 0.25  # seconds between two signs of progress
LIMIT = 0.5  # seconds that a stream may last


def command(status: Path, *flags: str) -> list[str]:
    return bascule_command("--access-logformat", "json", "--status-socket", str(status), *flags)


def age(status: Path) -> float:
    """Return for how long the oldest request has been there (seconds)."""
    return max((each["age_s"] for each in read_status(status)["requests"]), default=0.0)


def go_on(gate: Gate, status: Path, visits: int = 1) -> None:
    """Let calls do a step at a time until they have taken longer than a call may be silent."""
    for step in range(STEPS):
        waiting = [gate.visit() for _ in range(visits)]
        wait_until(lambda step=step: age(status) >= STEP * step, "time passes")
        for visit in waiting:
            visit.release(b"piece\n")
    assert age(status) > TIMEOUT * 1.5


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("path", ["/yields", "/writes", "/nothing", "/reads"])
def test_a_call_that_shows_progress_is_not_hung(
    gate: Gate, status: Path, threads: str, path: str
) -> None:
    flags = ("--timeout", str(TIMEOUT), "--threads", threads)
    with (
        running(command(status, *flags), "progresses", env=gate.env) as server,
        server.client() as client,
    ):
        client.send(post(path, b"piece\n" * STEPS))
        go_on(gate, status)
        gate.visit().release()
        response = client.read_final()
        assert (response.status, response.complete) == (200, True)
        assert response.body == (b"done\n" if path == "/nothing" else b"piece\n" * STEPS)
        assert client.request(get()).body == b"at once\n"
        assert not lines(server.err, "hung_request")


def test_as_many_streams_as_threads_end_no_worker_and_leave_a_place(
    gate: Gate, status: Path
) -> None:
    flags = ("--timeout", str(TIMEOUT), "--threads", "4")
    with (
        running(command(status, *flags), "progresses", env=gate.env) as server,
        ExitStack() as stack,
    ):
        clients = [stack.enter_context(server.client()) for _ in range(4)]
        for client in clients:
            client.send(get("/yields"))
        go_on(gate, status, visits=4)
        found = read_status(status)
        assert (found["streaming"], found["threads_hung"]) == (4, 0)
        assert {each["state"] for each in found["requests"]} == {"streaming"}
        with server.client() as other:
            assert other.request(get()).body == b"at once\n"
        for visit in [gate.visit() for _ in clients]:
            visit.release()
        assert [client.read_final().complete for client in clients] == [True] * 4
        assert not lines(server.err, "hung_request")
        wait_until(lambda: read_status(status)["streaming"] == 0, "no stream is left")


def test_a_stream_that_stops_is_hung_from_its_last_piece_on(gate: Gate, status: Path) -> None:
    flags = ("--timeout", str(TIMEOUT), "--threads", "2")
    with (
        running(command(status, *flags), "progresses", env=gate.env) as server,
        server.client() as client,
    ):
        client.send(get("/yields"))
        go_on(gate, status)
        gate.visit()
        response = client.read_final()
        assert (response.body, response.complete) == (b"piece\n" * STEPS, False)
        (event,) = lines(server.err, "hung_request")
        assert TIMEOUT <= event["age_s"] < TIMEOUT + 1
        assert "has made no progress for" in event["message"]


@pytest.mark.parametrize("threads", ["1", "2"])
def test_time_begins_anew_when_the_client_has_caught_up(
    gate: Gate, status: Path, threads: str
) -> None:
    flags = ("--timeout", str(TIMEOUT), "--threads", threads)
    with (
        running(command(status, *flags), "progresses", env=gate.env) as server,
        server.client(receive_buffer=65536) as client,
    ):
        client.send(get("/large"))
        wait_until(lambda: age(status) > TIMEOUT * 1.5, "the client takes its time")
        taken = 0
        while taken < LARGE:
            taken += len(client.socket.recv(1 << 20))
        visit = gate.visit()
        caught_up = age(status)
        wait_until(lambda: age(status) > caught_up + TIMEOUT / 2, "the application works")
        visit.release(b"last\n")
        gate.visit().release()
        received = b""
        while not received.endswith(b"0\r\n\r\n"):
            block = client.socket.recv(1 << 20)
            assert block, "cut short"
            received += block
        assert b"last\n" in received
        assert not lines(server.err, "hung_request")


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_stream_that_lasts_longer_than_it_may_is_cut_short(
    gate: Gate, status: Path, threads: str
) -> None:
    flags = ("--max-stream-duration", str(LIMIT), "--threads", threads)
    with (
        running(command(status, *flags), "progresses", env=gate.env) as server,
        server.client() as client,
    ):
        client.send(get("/yields?which=one", "X-Request-ID: the-one"))
        gate.visit().release(b"piece\n")
        wait_until(lambda: read_status(status)["streaming"] == 1, "it streams")
        begun = age(status)
        visit = gate.visit()
        wait_until(lambda: age(status) > begun + LIMIT, "its time is over")
        visit.release(b"piece\n")
        response = client.read_final()
        assert (response.body, response.complete) == (b"piece\n", False)
        assert client.read_ending() is Ending.FIN
        (event,) = lines(server.err, "stream_ended")
        assert (event["path"], event["request_id"]) == ("/yields", "the-one")
        assert "--max-stream-duration" in event["message"]
        with server.client() as other:
            assert other.request(get()).body == b"at once\n"


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_stream_whose_client_reads_slowly_is_cut_short_as_well(
    status: Path, threads: str
) -> None:
    flags = ("--max-stream-duration", str(LIMIT), "--threads", threads)
    with (
        running(command(status, *flags), "big") as server,
        server.client(receive_buffer=65536) as client,
    ):
        client.send(get("/generator"))
        wait_until(lambda: lines(server.err, "stream_ended"), "it is cut short")
        assert ends(client)
        with server.client() as other:
            assert other.request(get("/length")).complete


def ends(client: Client) -> bool:
    """Return whether the server closes, with whatever it has sent before."""
    while client.socket.recv(1 << 20):
        pass
    return True


def test_a_response_that_no_call_is_needed_for_may_take_as_long_as_its_client(
    status: Path,
) -> None:
    flags = ("--max-stream-duration", str(LIMIT), "--threads", "2")
    with (
        running(command(status, *flags), "big") as server,
        server.client(receive_buffer=65536) as client,
    ):
        client.send(get("/length"))
        wait_until(lambda: age(status) > LIMIT * 2, "it takes long")
        assert client.read_final().complete
        assert not lines(server.err, "stream_ended")
