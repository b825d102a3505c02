"""Ten thousand idle keep-alive connections cost little memory, and hold up no active one."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.client import Client
from tests.harness.servers import ServerProcess, bascule_command, running, scratch

from .requests import get, head

CONNECTIONS = 10_000
# Of the kernel's limit on open files; the server and pytest itself need a few.
DESCRIPTORS = CONNECTIONS + 500
ROOM = 4096  # bytes of the server's memory for each
WARM_UP = 300  # requests; memos are full and the allocator's first arenas are there


@pytest.fixture(autouse=True, scope="module")
def descriptors() -> Iterator[None]:
    """Let this process, and the servers that it starts, open enough files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, max(DESCRIPTORS, before[1])))
    except ValueError:
        reason = f"this user may open no more than {before[1]} files"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextlib.contextmanager
def serving(threads: int) -> Iterator[ServerProcess]:
    """Run the server on a unix socket, as behind nginx."""
    with scratch() as directory, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "socket"))
        listener.listen(1024)
        command = bascule_command("--threads", str(threads), "--access-logfile", "off")
        # More than the limit of open files leaves room for, with what is kept for other files.
        command += ["--worker-connections", str(DESCRIPTORS)]
        with running(command, "hello", listener=listener) as server:
            yield server


def memory(server: ServerProcess) -> int:
    """Return the bytes of memory that belong to the process alone (Pss_Anon of smaps_rollup)."""
    for line in Path(f"/proc/{server.pid}/smaps_rollup").read_text("ascii").splitlines():
        if line.startswith("Pss_Anon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no Pss_Anon in the process's smaps_rollup")


def browse(client: Client) -> None:
    """Send what a browser sends through a proxy."""
    answer = client.request(
        get(
            "/",
            "X-Request-ID: 04a387772f01c0785ca97a62d6fbe6a4",
            "X-Forwarded-For: 192.0.2.1",
            "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
            "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        )
    )
    assert answer.status == 200


@pytest.mark.parametrize("threads", [1, 8])
def test_ten_thousand_idle_connections_cost_4_kib_each_and_all_are_answered(threads: int) -> None:
    with serving(threads) as server, contextlib.ExitStack() as stack:
        active = stack.enter_context(server.client())
        for _ in range(WARM_UP):
            browse(active)
        before = memory(server)
        idle = []
        for _ in range(CONNECTIONS):
            idle.append(stack.enter_context(server.client()))
            browse(idle[-1])
        assert (memory(server) - before) / CONNECTIONS <= ROOM
        for client in (active, idle[0], idle[-1]):
            browse(client)


def test_large_requests_leave_nothing_behind_on_an_idle_connection() -> None:
    with serving(1) as server, contextlib.ExitStack() as stack:
        active = stack.enter_context(server.client())
        large = head("POST", "/", "Content-Length: 200000", f"Cookie: {'c' * 8000}") + bytes(200000)
        for _ in range(WARM_UP):
            assert active.request(large).status == 200
        before = memory(server)
        for _ in range(500):
            assert stack.enter_context(server.client()).request(large).status == 200
        assert (memory(server) - before) / 500 <= ROOM


def table_of_open_files(server: ServerProcess) -> int:
    """Return how many descriptors the kernel has room for before it must grow the table."""
    for line in Path(f"/proc/{server.pid}/status").read_text("ascii").splitlines():
        if line.startswith("FDSize:"):
            return int(line.split()[1])
    raise AssertionError("no FDSize in the process's status")


def test_the_kernels_table_of_open_files_does_not_grow_while_clients_wait_for_it() -> None:
    with serving(8) as server, contextlib.ExitStack() as stack:
        before = table_of_open_files(server)
        for _ in range(CONNECTIONS):
            browse(stack.enter_context(server.client()))
        assert table_of_open_files(server) == before
