"""``python -m tests.attack.client HOST:PORT SECONDS [kept]``: a usual client, and what it waits.

Some connections are kept, and others made for each request. Requests go out by the clock, and
their time counts from when they were due, so that an answer that is late makes those behind it
late as well. What is not answered in time counts as the whole time. ``kept``: no new connections.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Sequence
from typing import Final

# Many of each kind, as users are, so that one answer that is late delays few others; together about
# 600 requests a second.
KEEPING_CLIENTS: Final = 16
NEW_CLIENTS: Final = 16
KEEPING_INTERVAL: Final = 0.040  # seconds between two requests of one client
NEW_INTERVAL: Final = 0.080
TIMEOUT: Final = 2.0
# Between the moment when all are there and the first request.
START_DELAY: Final = 0.02

KEEPING: Final = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: usual\r\nAccept: */*\r\n\r\n"
CLOSING: Final = KEEPING.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
END: Final = b"Hello, World!"


class Client(threading.Thread):
    """Sends requests, one after another.

    Args:
        address: of the server.
        seconds: for how long.
        keeps: its connection; else it makes a new one for each request.
        together: passed when all clients are there, and have the connections that they keep: what
            that takes is no part of what they wait.

    Attributes:
        times: seconds that each answered request took.
        failed: requests without the right answer.
    """

    def __init__(
        self,
        address: tuple[str, int],
        seconds: float,
        together: threading.Barrier,
        *,
        keeps: bool,
    ) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._seconds = seconds
        self._together = together
        self._keeps = keeps
        self._sock: socket.socket | None = None
        self.times: list[float] = []
        self.failed = 0

    def run(self) -> None:
        """Send requests until the time is over."""
        interval = KEEPING_INTERVAL if self._keeps else NEW_INTERVAL
        if self._keeps:  # what it takes to get a connection is the others' question
            try:
                self._exchange()
            except OSError:
                self._close()
        self._together.wait()
        began = due = time.monotonic() + START_DELAY + interval * (id(self) % 97) / 97
        while due - began < self._seconds:
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                self._exchange()
            except OSError:
                self.failed += 1
                self._close()
                self.times.append(max(TIMEOUT, time.monotonic() - due))
            else:
                self.times.append(time.monotonic() - due)
            # Whoever waited in vain tries again, but does not make up for what was missed.
            due = max(due + interval, time.monotonic() - TIMEOUT)
        self._close()

    def _exchange(self) -> None:
        if self._sock is None:
            self._sock = socket.create_connection(self._address, TIMEOUT)
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock.sendall(KEEPING if self._keeps else CLOSING)
        answer = b""
        while not answer.endswith(END):
            received = self._sock.recv(4096)
            if not received:
                raise ConnectionResetError("no whole answer")
            answer += received
        if not self._keeps:
            self._close()

    def _close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None


def percentile(values: Sequence[float], share: float) -> float:
    """Return the least value that so large a share is not above; NaN for none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _summary(clients: Sequence[Client]) -> dict[str, float]:
    times = [each for client in clients for each in client.times]
    return {
        "asked": len(times),
        "failed": sum(client.failed for client in clients),
        "p50_ms": percentile(times, 0.5) * 1000,
        "p99_ms": percentile(times, 0.99) * 1000,
    }


def main(arguments: Sequence[str]) -> int:
    """Be a usual client for some seconds; return the exit status."""
    where, how_long, *only = arguments
    host, _, port = where.rpartition(":")
    address, seconds = (host, int(port)), float(how_long)
    # The client's threads wait for one another no longer than need be, and for nobody else: what
    # it waits for is the server.
    sys.setswitchinterval(0.0005)
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    kinds = [True] * KEEPING_CLIENTS + [False] * (0 if only else NEW_CLIENTS)
    together = threading.Barrier(len(kinds))
    clients = [Client(address, seconds, together, keeps=keeps) for keeps in kinds]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    kept, new = clients[:KEEPING_CLIENTS], clients[KEEPING_CLIENTS:]
    print(json.dumps({"kept": _summary(kept), "new": _summary(new)}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
