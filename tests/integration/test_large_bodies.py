"""Bodies of any size cost a worker no memory, and hold neither its loop nor more than one thread."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.client import Client
from tests.harness.servers import ServerProcess, bascule_command, running, scratch

from .requests import get, head

MEBIBYTE = 1 << 20
SIZE = 1024 * MEBIBYTE
ROOM = 8 * MEBIBYTE
BLOCK = bytes(MEBIBYTE)
# What the kernel may hold of a stream on a unix socket, and the block that is being sent.
AHEAD = MEBIBYTE
ENDLESS = 1 << 40


@contextlib.contextmanager
def serving(threads: int) -> Iterator[ServerProcess]:
    """Run the server on a unix socket, as behind nginx."""
    with scratch() as directory, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "socket"))
        listener.listen(64)
        command = bascule_command("--threads", str(threads))
        with running(command, "huge", listener=listener) as server:
            yield server


def memory(server: ServerProcess, kind: str) -> int:
    """Return one of the amounts of memory (bytes) that proc_pid_status(5) tells."""
    for line in Path(f"/proc/{server.pid}/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == kind:
            return int(value.split()[0]) * 1024
    raise AssertionError(f"no {kind} in the process's status")


@contextlib.contextmanager
def no_growth(server: ServerProcess) -> Iterator[None]:
    """Fail if the process holds noticeably more memory, at any moment of the block, than before."""
    Path(f"/proc/{server.pid}/clear_refs").write_text("5", encoding="ascii")  # forget the peak
    before = memory(server, "VmRSS")
    yield
    assert memory(server, "VmHWM") - before < ROOM


def begin(server: ServerProcess, target: str) -> Client:
    """Ask for something large, and read none of the body for now."""
    client = server.client()
    client.send(get(target))
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += client.socket.recv(1)
    assert answer.startswith(b"HTTP/1.1 200")
    return client


def read(client: Client, size: int) -> int:
    """Read up to `size` bytes of a body; return how many there were."""
    buffer = bytearray(MEBIBYTE)
    left = size
    while left and (received := client.socket.recv_into(buffer, min(left, MEBIBYTE))):
        left -= received
    return size - left


@pytest.mark.parametrize("threads", [1, 8])
@pytest.mark.parametrize("path", ["/file", "/generator", "/write"])
def test_a_large_download_costs_no_memory(path: str, threads: int) -> None:
    with serving(threads) as server, no_growth(server), begin(server, f"{path}?{SIZE}") as client:
        assert read(client, SIZE) == SIZE
        assert client.request(get()).body == b"0"


@pytest.mark.parametrize("threads", [1, 8])
def test_a_large_upload_costs_no_memory(threads: int) -> None:
    with serving(threads) as server, no_growth(server), server.client() as client:
        client.send(head("POST", "/count", f"Content-Length: {SIZE}"))
        for _ in range(SIZE // MEBIBYTE):
            client.send(BLOCK)
        assert client.read_final().body == b"%d" % SIZE


def test_a_large_chunked_upload_costs_no_memory() -> None:
    with serving(1) as server, no_growth(server), server.client() as client:
        client.send(head("POST", "/count", "Transfer-Encoding: chunked"))
        for _ in range(SIZE // MEBIBYTE):
            client.send(b"%x\r\n" % MEBIBYTE)
            client.send(BLOCK)
            client.send(b"\r\n")
        assert client.request(b"0\r\n\r\n").body == b"%d" % SIZE


@pytest.mark.parametrize("path", ["/generator", "/write"])
def test_a_stream_runs_no_further_ahead_than_the_socket_holds(path: str) -> None:
    with (
        serving(2) as server,
        begin(server, f"{path}?{SIZE}") as slow,
        server.client() as other,
    ):
        taken = 0
        while taken < 16 * MEBIBYTE:
            yielded = int(other.request(get("/yielded")).body)
            assert yielded - taken <= AHEAD
            taken += read(slow, MEBIBYTE // 2)


@pytest.mark.parametrize("threads", [1, 8])
def test_slow_readers_of_files_hold_no_thread(threads: int) -> None:
    with serving(threads) as server, contextlib.ExitStack() as slow:
        readers = [slow.enter_context(begin(server, f"/file?{SIZE}")) for _ in range(50)]
        with server.client() as other:
            for _ in range(3):
                assert other.request(get()).status == 200
        for reader in readers[:3]:
            assert read(reader, 4 * MEBIBYTE) == 4 * MEBIBYTE


def test_slow_readers_of_streams_hold_a_thread_each_and_no_more() -> None:
    with serving(8) as server, contextlib.ExitStack() as slow:
        readers = [slow.enter_context(begin(server, f"/generator?{SIZE}")) for _ in range(7)]
        with server.client() as other:
            for _ in range(3):
                assert other.request(get()).status == 200
        for reader in readers:
            assert read(reader, MEBIBYTE) == MEBIBYTE


def test_a_slow_reader_of_a_stream_never_holds_the_loop() -> None:
    """With one thread no other call is made meanwhile; but the others are read and refused."""
    with serving(1) as server, begin(server, f"/generator?{ENDLESS}"):
        with server.client() as other:
            other.send(head("POST", "/count", "Content-Length: 1", "Expect: 100-continue"))
            assert other.read().status == 100
        with server.client() as other:
            assert other.request(get(version="HTTP/3.0")).status == 505
