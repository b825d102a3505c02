"""Ports for servers of a benchmark, an attack, a soak or a test."""

from __future__ import annotations

import contextlib
import random
import socket
from pathlib import Path


def free_port() -> int:
    """A port that was free a moment ago, and that no client on this machine is given by chance."""
    lowest, _ = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    while True:
        port = random.randrange(10_000, int(lowest))
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def listen() -> socket.socket:
    """A socket that listens on a port of 127.0.0.1 that the kernel chose: to hand over, to take."""
    return socket.create_server(("127.0.0.1", 0), backlog=1024)
