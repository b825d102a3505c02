"""Several addresses of all kinds at once, as the command line gives them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.harness.ports import free_port

from .project import HELLO, served
from .requests import get


def answer(sock: socket.socket) -> bytes:
    """Return what is answered on a connection."""
    with sock, sock.makefile("rb") as file:
        sock.sendall(get("/", "Connection: close"))
        return file.read()


def test_ipv4_and_ipv6_of_one_port_a_path_and_an_abstract_name_are_served() -> None:
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    port, name = free_port(), f"bascule-bind-{os.getpid()}"
    addresses = ["unix:app.sock", f"0.0.0.0:{port}", f"[::]:{port}", f"unix:@{name}"]
    flags = [part for address in addresses for part in ("--bind", address)]
    with served(HELLO, *flags) as server:
        for host in ("127.0.0.1", "::1"):
            assert answer(socket.create_connection((host, port), 10)).endswith(b"hello")
        abstract = socket.socket(socket.AF_UNIX)
        abstract.connect(b"\0" + name.encode())
        assert answer(abstract).endswith(b"hello")
        assert f"unix:@{name}" in server.err
