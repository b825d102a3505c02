"""Large bodies: a file going down as fast as the kernel sends it, and 1 GiB either way."""

from __future__ import annotations

import os
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import which
from typing import Final

from tests.bench.applications import FILE_VARIABLE
from tests.bench.load import LoadError
from tests.bench.measure import MEBIBYTE, Bench, Figures, started
from tests.bench.peers import NGINX, PEERS, Peer
from tests.bench.processes import LOAD_CORES, Server, connect

FILE_NAME: Final = "file"
FILE_BYTES: Final = 1024 * MEBIBYTE
PART_BYTES: Final = 256 * MEBIBYTE  # read of each connection, to measure the rate
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
    """Measure how fast a server sends a file on one connection, in turns with nginx.

    What one connection reaches may be twice or half of what the next one does, so many are
    measured, each for a part of the file; and each beside one of nginx, a moment later.
    """
    make_file(bench.directory)
    with ExitStack() as stack:
        server = stack.enter_context(started(bench, peer, bench.start("download")))
        servers = [server]
        if peer.name != NGINX and which("nginx"):
            servers.append(stack.enter_context(started(bench, PEERS[NGINX], bench.start(""))))
        for each in servers:
            _read_for(each, bench.warm_up, part=PART_BYTES)
        before = server.cpu_us()
        rates: list[list[float]] = []
        end = time.monotonic() + bench.seconds
        while not rates or time.monotonic() < end:
            rates.append([_rate(each) for each in servers])
        used = server.cpu_us() - before
    figures = {
        "mib_per_second": statistics.median(each[0] for each in rates),
        "cpu_us_per_mib": used / (len(rates) * PART_BYTES / MEBIBYTE),
        "errors": 0,
    }
    if len(servers) > 1:
        figures["of_nginx"] = statistics.median(ours / theirs for ours, theirs in rates)
    return figures


def _rate(server: Server) -> float:
    """Download a part of the file; return MiB a second."""
    count, seconds = _read_for(server, TIMEOUT_SECONDS, most=1, part=PART_BYTES)
    return count / MEBIBYTE / seconds


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


def _read_for(
    server: Server, seconds: float, most: float = float("inf"), part: int = FILE_BYTES
) -> tuple[int, float]:
    """Download for some seconds or bytes; return the bytes and the seconds that it took.

    Each connection reads so many bytes of the file as `part` says.
    """
    began = time.monotonic()
    count = 0
    with _on_load_core():
        while count < most and time.monotonic() - began < seconds:
            count += _read_file(server, began + seconds, part)
    return count, time.monotonic() - began


def _read_file(server: Server, deadline: float, part: int) -> int:
    """Read the file once, as far as `part`, or as much as comes until the deadline."""
    with connect(server.address, TIMEOUT_SECONDS) as sock:
        sock.sendall(f"GET /{FILE_NAME} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = sock.recv(256)
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
            raise LoadError(f"answered {head[:40]!r}")
        buffer = bytearray(MEBIBYTE)
        count = len(head)
        while count < part and time.monotonic() < deadline:
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
