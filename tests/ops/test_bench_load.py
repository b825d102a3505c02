"""The benchmark's own programs in C: the load, and the floor."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench import load, native, population
from tests.harness.nginx import Upstream, response
from tests.harness.ports import listen
from tests.harness.processes import Process
from tests.harness.servers import scratch

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")

SECONDS = 0.2
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


@pytest.fixture(scope="module")
def programs() -> Iterator[Path]:
    with scratch() as directory:
        for name in ("load", "floor"):
            native.build(name, directory)
        yield directory


@pytest.fixture
def server() -> Iterator[Upstream]:
    with scratch() as directory:
        upstream = Upstream(directory / "socket")
        yield upstream
        upstream.stop()


def get(target: str, method: str = "GET") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


Run = Callable[..., load.Load]


@pytest.fixture
def run(programs: Path, server: Upstream, tmp_path: Path) -> Run:
    """Replay some messages to the scripted server."""

    def replay(*messages: bytes, connections: int = 1, **settings: Any) -> load.Load:
        path = tmp_path / "population"
        population.write(path, messages)
        return load.run(
            *(programs / "load", f"unix:{server.server_address!s}", path, SECONDS),
            connections=connections,
            cores="0",
            **settings,
        )

    return replay


def targets(server: Upstream) -> list[str]:
    return [each["line"].split()[1] for each in server.seen]


@pytest.mark.parametrize(
    ("answer", "method"),
    [
        (HELLO, "GET"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD"),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "GET"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "DELETE"),
        (CHUNKED + b"1\r\nx\r\nA;e=1\r\n0123456789\r\n0\r\n\r\n", "GET"),
        (CHUNKED + b"3\r\nxyz\r\n000\r\nX-Sum: 1\r\n\r\n", "GET"),
        (response(200, b"x" * 300_000), "GET"),
        (response(200, b"", "Connection: close"), "GET"),
    ],
)
def test_a_response_ends_where_its_framing_says(
    run: Run, server: Upstream, answer: bytes, method: str
) -> None:
    server.answer = lambda _seen: answer
    found = run(get("/", method))
    assert found.errors == 0
    assert found.requests > 2
    assert found.in_time <= found.requests == found.sent


def test_a_response_without_a_length_ends_with_the_connection(
    programs: Path, tmp_path: Path
) -> None:
    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the listener is shut down
            while True:
                client, _ = listener.accept()
                with client:
                    client.recv(1000)
                    client.sendall(b"HTTP/1.0 200 OK\r\n\r\nto the end")

    path = tmp_path / "population"
    population.write(path, [get("/")])
    with listen() as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        found = load.run(programs / "load", address, path, SECONDS, connections=2, cores="0")
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert found.errors == 0
    assert 2 < found.requests == found.sent


@pytest.mark.parametrize(
    "answer",
    [
        response(404, b"no"),
        response(500, b""),
        HELLO + b"more than was asked for",
        None,
    ],
)
def test_what_is_no_good_response_is_an_error(
    run: Run, server: Upstream, answer: bytes | None
) -> None:
    server.answer = lambda _seen: answer
    found = run(get("/"))
    assert found.errors > 2
    assert found.p50_us == 0 or answer == HELLO + b"more than was asked for"


def test_requests_are_replayed_in_their_order_from_the_first_one_and_over_again(
    run: Run, server: Upstream
) -> None:
    server.answer = lambda _seen: HELLO
    found = run(get("/a"), get("/b"), get("/c"), first=5)
    assert targets(server)[:5] == ["/c", "/a", "/b", "/c", "/a"]
    assert found.requests == len(server.seen) == found.sent


def test_a_message_arrives_as_it_stands_in_the_population(run: Run, server: Upstream) -> None:
    server.answer = lambda _seen: HELLO
    body = b"x" * 3_000_000  # more than a socket takes at once
    head = f"POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    found = run(head + body)
    assert found.errors == 0
    assert found.requests > 0
    assert {len(each["body"]) for each in server.seen[: found.requests]} == {len(body)}


def test_at_a_rate_as_many_are_sent_as_are_due_and_each_is_awaited(
    run: Run, server: Upstream
) -> None:
    server.answer = lambda _seen: HELLO
    found = run(get("/"), connections=8, rate=500)
    assert found.sent == found.requests == len(server.seen)
    assert found.errors == 0
    assert 0 < found.sent < 500 * SECONDS * 2


def test_one_target_is_counted_apart(run: Run, server: Upstream) -> None:
    server.answer = lambda _seen: HELLO
    found = run(get("/"), get("/slow"), get("/slower"), apart="/slow")
    assert found.apart == pytest.approx(found.requests / 3, abs=1)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "is empty"), (b"\0\0", "within a length"), (b"\0\0\1\0GET / HTTP/1.1", "cannot be")],
)
def test_what_is_no_population_is_not_replayed(
    programs: Path, content: bytes, complaint: str, tmp_path: Path
) -> None:
    path = tmp_path / "population"
    path.write_bytes(content)
    done = subprocess.run(
        [programs / "load", "127.0.0.1:1", "1", "1", "0", "0", path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert complaint in done.stderr


def test_the_floor_answers_when_the_body_is_there(programs: Path) -> None:
    with scratch() as directory:
        path = directory / "socket"
        with Process([programs / "floor", f"unix:{path}", "keep-alive"]) as floor:
            floor.wait_until(path.exists, "the floor's socket")
            with connected(path) as client, connected(path) as other:
                client.sendall(b"POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\n")
                has_read(other)
                client.sendall(b"01234")
                has_read(other)
                client.sendall(b"56789")
                assert client.recv(1000).count(b"Hello, World!") == 1
                client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nxy")
                assert client.recv(1000).count(b"Hello, World!") == 1
                client.shutdown(socket.SHUT_WR)
                assert client.recv(1000) == b""


def connected(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(20)
    client.connect(str(path))
    return client


def has_read(other: socket.socket) -> None:
    """Return when the floor, which has one thread, has read what came before this."""
    other.sendall(get("/"))
    assert other.recv(1000).endswith(b"Hello, World!")
