"""Ten thousand clients that keep their connections and say nothing."""

from __future__ import annotations

import select
import socket
from typing import Final

from ops.benchmark import wrk
from ops.benchmark.measure import Bench, Figures, started, under_wrk
from ops.benchmark.peers import Peer
from ops.benchmark.processes import Server, connect
from ops.benchmark.wrk import LoadError

CONNECTIONS: Final = 10_000
DESCRIPTORS: Final = CONNECTIONS + 1000  # for each of the two sides
REQUEST: Final = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
KIBIBYTE: Final = 1024


def idle(bench: Bench, peer: Peer) -> Figures:
    """Measure a server alone, then with the idle connections, then what each of them costs."""
    with started(bench, peer, bench.start("hello")) as server:
        alone = under_wrk(server, bench, wrk.fixed())
        before = sum(server.pss_bytes())
        connections: list[socket.socket] = []
        try:
            for _ in range(CONNECTIONS):
                connections.append(_used_once(server))
            memory = sum(server.pss_bytes()) - before
            beside = under_wrk(server, bench, wrk.fixed())
            _check_open(connections)
        finally:
            for connection in connections:
                connection.close()
    return {
        "kib_per_connection": memory / CONNECTIONS / KIBIBYTE,
        "p99_alone_ms": alone["p99_ms"],
        "p99_ms": beside["p99_ms"],
        "cpu_us_alone": alone["cpu_us"],
        "cpu_us": beside["cpu_us"],
        "errors": alone["errors"] + beside["errors"],
    }


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
