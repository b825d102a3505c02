"""Ten thousand clients that keep their connections and say nothing."""

from __future__ import annotations

import select
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from tests.bench.load import LoadError
from tests.bench.measure import Bench, Figures, replayed, started
from tests.bench.peers import Peer
from tests.bench.processes import Server, connect

CONNECTIONS: Final = 10_000
DESCRIPTORS: Final = CONNECTIONS + 1000  # for each of the two sides
REQUEST: Final = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
KIBIBYTE: Final = 1024
# One pause of the machine would decide about one long measurement's p99: each half is the median
# of short ones, and those without the connections come before and after those beside them.
SHARE: Final = 3  # of the time that a measurement lasts
BEFORE: Final = 3
BESIDE: Final = 6
AFTER: Final = 3
SETTLE_SECONDS: Final = 1.0  # after so many have been opened or closed


def idle(bench: Bench, peer: Peer) -> Figures:
    """Measure a server alone, then with the idle connections, then what each of them costs."""
    short = replace(bench, seconds=bench.seconds / SHARE)
    with started(bench, peer, bench.start("hello")) as server:

        def measured(times: int) -> list[Figures]:
            return [replayed(server, short, "hello") for _ in range(times)]

        alone = measured(BEFORE)
        before = sum(server.pss_bytes())
        with _kept_open(server) as connections:
            memory = sum(server.pss_bytes()) - before
            time.sleep(SETTLE_SECONDS)
            beside = measured(BESIDE)
            _check_open(connections)
        time.sleep(SETTLE_SECONDS)
        alone += measured(AFTER)
    return {
        "kib_per_connection": memory / CONNECTIONS / KIBIBYTE,
        "p99_alone_ms": _median(alone, "p99_ms"),
        "p99_ms": _median(beside, "p99_ms"),
        "cpu_us_alone": _median(alone, "cpu_us"),
        "cpu_us": _median(beside, "cpu_us"),
        "errors": sum(each["errors"] for each in alone + beside),
    }


def _median(measured: list[Figures], figure: str) -> float:
    return statistics.median(each[figure] for each in measured)


@contextmanager
def _kept_open(server: Server) -> Iterator[list[socket.socket]]:
    """Hold connections, each of which has been used once."""
    connections: list[socket.socket] = []
    try:
        for _ in range(CONNECTIONS):
            connections.append(_used_once(server))
        yield connections
    finally:
        for connection in connections:
            connection.close()


def _check_open(connections: list[socket.socket]) -> None:
    """Raise `LoadError` where the server has closed connections: what is gone costs nothing."""
    poller = select.poll()
    for connection in connections:
        poller.register(connection, select.POLLIN)
    if closed := poller.poll(0):
        raise LoadError(f"closed {len(closed)} of {CONNECTIONS} idle connections")


def _used_once(server: Server) -> socket.socket:
    """Return a connection on which one request was answered."""
    connection = connect(server.address)
    try:
        connection.sendall(REQUEST)
        answer = b""
        while not answer.endswith(b"Hello, World!"):
            got = connection.recv(4096)
            if not got:
                raise LoadError("closed a connection that it was to keep")
            answer += got
    except BaseException:
        connection.close()
        raise
    return connection
