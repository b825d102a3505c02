"""Deadlines: what a client that is too slow gets, and that one which is merely slow gets served.

Deadlines here are fractions of a second; the tests wait for their effect, never for their length.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest

from tests.harness.client import Client, Ending
from tests.harness.servers import ServerProcess, bascule_command, running
from tests.harness.waiting import wait_until

from .requests import get, head

SHORT = 0.3  # seconds
PACE = 0.1  # seconds between two pieces of a slow client, well below SHORT


def given_up(server: ServerProcess, client: Client) -> bool:
    """Whether the server's process has closed its end of a TCP connection.

    The client's end cannot tell: FIN comes behind the data that the client does not take.
    """
    links = []
    for descriptor in Path(f"/proc/{server.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            links.append(str(descriptor.readlink()))
    port = f":{client.socket.getsockname()[1]:04X}"
    table = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    inodes = {row.split()[9] for row in table if row.split()[2].endswith(port)}
    return not any(f"socket:[{inode}]" in links for inode in inodes)


@pytest.fixture(scope="module")
def keep_alive():
    """A server whose idle connections end soon."""
    with running(bascule_command("--keep-alive", str(SHORT)), "hello") as server:
        yield server


def test_an_idle_connection_is_closed_after_its_deadline(keep_alive) -> None:
    with keep_alive.client() as client:
        assert client.request(get()).status == 200
        start = time.monotonic()
        assert client.read_ending() is Ending.FIN
        assert SHORT * 0.9 < time.monotonic() - start < SHORT * 5


def test_a_connection_without_a_byte_is_closed_without_an_answer(keep_alive) -> None:
    with keep_alive.client() as client:
        assert client.read_ending() is Ending.FIN


def test_each_request_starts_the_idle_deadline_anew(keep_alive) -> None:
    with keep_alive.client() as client:
        start = time.monotonic()
        while time.monotonic() - start < SHORT * 3:
            assert client.request(get()).status == 200
            time.sleep(PACE)  # the client's pace


@pytest.fixture(scope="module")
def slow_head():
    """A server that waits little for a head."""
    with running(bascule_command("--head-timeout", str(SHORT)), "echo") as server:
        yield server


def test_half_a_head_is_answered_408_after_its_deadline(slow_head) -> None:
    with slow_head.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: exam")
        response = client.read_final()
        assert response.status == 408
        assert response.says_close
        assert client.read_ending() is Ending.FIN


def test_the_head_deadline_runs_from_the_first_byte(slow_head) -> None:
    """A byte now and then does not extend it (Slowloris)."""
    with slow_head.client(deadline=PACE) as client:
        start = time.monotonic()
        response = None
        for byte in get("/" + "a" * 1000):
            client.send(bytes([byte]))
            try:
                response = client.read()
                break
            except TimeoutError:  # the client's pace
                assert time.monotonic() - start < SHORT * 10
        assert response is not None
        assert response.status == 408


def test_the_second_request_of_a_connection_has_the_same_head_deadline(slow_head) -> None:
    with slow_head.client() as client:
        assert client.request(get()).status == 200
        client.send(b"GET ")
        assert client.read_final().status == 408


@pytest.fixture(scope="module")
def slow_body():
    """A server that waits little for the next piece of a body."""
    with running(bascule_command("--body-timeout", str(SHORT)), "echo") as server:
        yield server


@pytest.mark.parametrize(
    "sent",
    [
        head("POST", "/sized", "Content-Length: 10") + b"half",
        head("POST", "/sized", "Content-Length: 10"),
        head("POST", "/sized", "Transfer-Encoding: chunked") + b"4\r\nhalf\r\n",
        head("POST", "/sized", "Transfer-Encoding: chunked") + b"4\r\nhalf\r\n0\r\nX-Trail",
    ],
    ids=["half a body", "no body", "half the chunks", "half a trailer"],
)
def test_an_incomplete_body_is_answered_408_after_its_deadline(sent: bytes, slow_body) -> None:
    with slow_body.client() as client:
        client.send(sent)
        response = client.read_final()
        assert response.status == 408
        assert response.says_close
        assert client.read_ending() is Ending.FIN


def test_a_body_that_keeps_coming_may_take_longer_than_the_deadline(slow_body) -> None:
    with slow_body.client() as client:
        start = time.monotonic()
        client.send(head("POST", "/zero", "Content-Length: 8"))
        for byte in b"8 bytes!":
            client.send(bytes([byte]))
            time.sleep(PACE)  # the client's pace
        response = client.read_final()
        assert time.monotonic() - start > SHORT
        assert (response.status, response.body) == (200, b",|,8 bytes!")


@pytest.mark.parametrize("path", ["/length", "/generator", "/file", "/write"])
def test_a_client_that_takes_nothing_is_given_up_after_the_write_deadline(path: str) -> None:
    with (
        running(bascule_command("--write-timeout", str(SHORT)), "big") as server,
        server.client(receive_buffer=4096) as client,
    ):
        client.send(get(path))
        assert client.socket.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        assert not given_up(server, client)
        wait_until(lambda: given_up(server, client), "the connection is given up")


def test_a_client_that_takes_a_little_now_and_then_gets_all_of_it() -> None:
    with (
        running(bascule_command("--write-timeout", str(SHORT)), "big") as server,
        server.client(receive_buffer=65536) as client,
    ):
        start = time.monotonic()
        client.send(get("/length"))
        taken = 0
        while time.monotonic() - start < SHORT * 3:
            taken += len(client.socket.recv(300_000))
            time.sleep(PACE)  # the client's pace
        while block := client.socket.recv(1 << 20):
            taken += len(block)
            if taken > 8 << 20:
                break
        assert taken > 8 << 20


def test_a_stylesheet_that_takes_for_ever_is_given_up_as_any_call_is() -> None:
    command = bascule_command("--timeout", str(SHORT), "--threads", "2")
    with (
        running(command, "transforms_for_ever") as server,
        server.client() as client,
        server.client() as other,
    ):
        client.send(get("/page", "Accept: text/html"))
        other.send(get("/text"))
        assert other.read().body == b"text"  # it runs without the interpreter's lock
        assert client.read_final().status == 504
        assert other.request(get("/text")).body == b"text"
        assert "/page" in server.err
