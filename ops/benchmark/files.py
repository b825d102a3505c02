"""Large bodies: a file going down as fast as the kernel sends it, and 1 GiB either way."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ops.benchmark.applications import FILE_VARIABLE
from ops.benchmark.measure import MEBIBYTE, Bench, Figures, started
from ops.benchmark.peers import Peer
from ops.benchmark.processes import LOAD_CORES, Server, connect
from ops.benchmark.wrk import LoadError

FILE_NAME: Final = "file"
FILE_BYTES: Final = 1024 * MEBIBYTE
PIECE: Final = b"\0" * MEBIBYTE
TIMEOUT_SECONDS: Final = 60.0


def make_file(directory: Path) -> None:
    """Make the file that is sent, once: sparse, so that it takes no room on the disk."""
    path = directory / FILE_NAME
    if not path.exists():
        with path.open("wb") as file:
            file.truncate(FILE_BYTES)
        read = os.open(path, os.O_RDONLY)
        while os.read(read, MEBIBYTE):  # into the page cache
            pass
        os.close(read)
    os.environ[FILE_VARIABLE] = str(path)  # for the servers that are started from here on


def download(bench: Bench, peer: Peer) -> Figures:
    """Measure how fast a server sends a file on one connection."""
    make_file(bench.directory)
    with started(bench, peer, bench.start("download")) as server:
        _read_for(server, bench.warm_up)
        before = server.cpu_us()
        count, seconds = _read_for(server, bench.seconds)
        used = server.cpu_us() - before
    return {
        "mib_per_second": count / MEBIBYTE / seconds,
        "cpu_us_per_mib": used / (count / MEBIBYTE),
        "errors": 0,
    }


def large(bench: Bench, peer: Peer) -> Figures:
    """Measure by how much a worker's memory grows at most while 1 GiB goes up, and down."""
    make_file(bench.directory)
    with started(bench, peer, bench.start("upload")) as server:
        _send(server, PIECE, len(PIECE))  # what the first body allocates, it keeps
        before = server.reset_peak_bytes()
        _send(server, PIECE, FILE_BYTES)
        up = server.peak_bytes() - before
    with started(bench, peer, bench.start("download")) as server:
        _read_for(server, bench.warm_up)
        before = server.reset_peak_bytes()
        _read_for(server, TIMEOUT_SECONDS, most=FILE_BYTES)
        down = server.peak_bytes() - before
    return {"up_growth_mib": up / MEBIBYTE, "down_growth_mib": down / MEBIBYTE, "errors": 0}


def _read_for(server: Server, seconds: float, most: float = float("inf")) -> tuple[int, float]:
    """Download for some seconds or bytes; return the bytes and the seconds that it took."""
    began = time.monotonic()
    count = 0
    with _on_load_core():
        while count < most and time.monotonic() - began < seconds:
            count += _read_file(server, began + seconds)
    return count, time.monotonic() - began


def _read_file(server: Server, deadline: float) -> int:
    """Read the file once, or as much as comes until the deadline."""
    with connect(server.address, TIMEOUT_SECONDS) as sock:
        sock.sendall(f"GET /{FILE_NAME} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = sock.recv(256)
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
            raise LoadError(f"answered {head[:40]!r}")
        buffer = bytearray(MEBIBYTE)
        count = len(head)
        while count < FILE_BYTES and time.monotonic() < deadline:
            # MSG_TRUNC: the kernel drops what arrived (tcp(7)), so that the client costs little.
            got = sock.recv_into(buffer, MEBIBYTE, socket.MSG_TRUNC)
            if got == 0:
                raise LoadError(f"ended after {count} bytes")
            count += got
        return count


def _send(server: Server, piece: bytes, length: int) -> None:
    """Send a body of `length` bytes and read the answer, which is that number."""
    with connect(server.address, TIMEOUT_SECONDS) as sock:
        head = f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
        sock.sendall(head.encode())
        for _ in range(length // len(piece)):
            sock.sendall(piece)
        answer = b""
        while not answer.endswith(str(length).encode()):
            got = sock.recv(4096)
            if not got:
                raise LoadError(f"answered {answer[:100]!r} to {length} bytes")
            answer += got


@contextmanager
def _on_load_core() -> Iterator[None]:
    """Keep this thread, which is the client, off the server's core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(LOAD_CORES)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
