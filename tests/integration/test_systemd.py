"""What systemd hands to a service, and what it wants to hear of it."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.ports import listen
from tests.harness.servers import ServerProcess
from tests.harness.waiting import wait_until

from .project import HELLO
from .requests import get

# Becomes a server, with what systemd has in the environment, and sockets from descriptor 3 on.
ACTIVATED = """
import os, sys
first, *command = sys.argv[1:]
sockets = [os.dup(int(each)) for each in first.split(",")]
for number, each in enumerate(sockets):
    os.dup2(each, 3 + number)
    os.set_inheritable(3 + number, True)
os.environ |= {"LISTEN_FDS": str(len(sockets)), "LISTEN_PID": str(os.getpid() + OTHER)}
os.execv(sys.executable, [sys.executable, "-m", "bascule", *command])
"""


@contextlib.contextmanager
def activated(
    directory: Path, *arguments: str, number: int = 1, other: int = 0
) -> Iterator[ServerProcess]:
    (directory / "site_.py").write_text(HELLO)
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(listen()) for _ in range(number)]
        descriptors = [each.fileno() for each in sockets]
        code = ACTIVATED.replace("OTHER", str(other))
        command = [sys.executable, "-c", code, ",".join(map(str, descriptors)), *arguments, "site_"]
        environ = {"NOTIFY_SOCKET": str(directory / "notify.sock")}
        address = sockets[-1].getsockname()
        with ServerProcess(
            command, address, cwd=directory, env=environ, pass_fds=descriptors
        ) as server:
            yield server


@pytest.mark.parametrize(("arguments", "number"), [((), 1), ((), 2), (("-w", "2"), 1)])
def test_its_sockets_are_served_where_no_address_is_given(
    arguments: tuple[str, ...], number: int, tmp_path: Path
) -> None:
    with activated(tmp_path, *arguments, number=number) as server:
        server.wait_until_it_answers()
        with server.client() as client:
            assert client.request(get()).body == b"hello"
        server.signal(signal.SIGTERM)
        assert server.wait(20) == 0


def test_an_address_that_is_given_goes_before_them(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with activated(tmp_path, "--bind", f"unix:{path}") as server:
        server.address = str(path)
        server.wait_until_it_answers()


def test_those_of_another_process_are_none_of_its(tmp_path: Path) -> None:
    with activated(tmp_path, "--print-config", other=1) as server:
        assert server.wait(20) == 0
        assert 'bind = ["127.0.0.1:8000"]\n' in server.out
    with activated(tmp_path, "--print-config") as server:
        assert server.wait(20) == 0
        assert 'bind = ["fd://3"]\n' in server.out


@pytest.mark.parametrize("arguments", [(), ("-w", "2")])
def test_it_hears_once_when_a_service_serves(arguments: tuple[str, ...], tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(tmp_path / "notify.sock"))
        notified.setblocking(False)
        with activated(tmp_path, *arguments) as server:
            server.wait_until_it_answers()
            said = wait_until(lambda: notified.recv(100), "its word", passing=(BlockingIOError,))
            assert said == b"READY=1\n"
            server.signal(signal.SIGTERM)
            assert server.wait(20) == 0
        with pytest.raises(BlockingIOError):
            notified.recv(100)
