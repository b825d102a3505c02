"""Our server and the baseline, each before an application of the tests."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.harness.client import Address, Client, MalformedResponse
from tests.harness.ports import listen
from tests.harness.processes import ROOT, Process, inherited

START_LIMIT: Final = 20.0  # seconds
APPLICATIONS: Final = "tests.applications"
PROBE: Final = b"GET / HTTP/1.1\r\nHost: probe.test\r\nConnection: close\r\n\r\n"


class ServerProcess(Process):
    """One running server, and its address."""

    def __init__(
        self,
        command: Sequence[str],
        address: Address,
        *,
        cwd: Path = ROOT,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        super().__init__(command, cwd=cwd, env=environment(env), pass_fds=pass_fds)
        self.address = address

    def wait_until_it_answers(self) -> None:
        """Return once a request was answered, whatever the answer; raise if it cannot be."""

        def answers() -> bool:
            with self.client(deadline=START_LIMIT) as client:
                client.send(PROBE)
                return client.read() is not None

        passing = (OSError, MalformedResponse)
        self.wait_until(answers, "an answer", limit=START_LIMIT, passing=passing)

    def client(self, *, deadline: float = 20.0, receive_buffer: int | None = None) -> Client:
        """Connect."""
        return Client(self.address, deadline=deadline, receive_buffer=receive_buffer)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without what would configure a server, and `extra`."""
    usual = {
        name: value
        for name, value in inherited().items()
        if not name.startswith(("COV_", "PYTEST_"))
    }
    return {**usual, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "", **(extra or {})}


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Give a directory with a path short enough for a unix socket's name (108 bytes)."""
    directory = Path(tempfile.mkdtemp(prefix="bascule-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def application_name(application: str) -> str:
    """Complete a test application's short name: hello, validated:echo, or a full name."""
    module, _, attribute = application.partition(":")
    if "." not in module:
        module = f"{APPLICATIONS}.{module}"
    return f"{module}:{attribute or 'application'}"


def bascule_command(*arguments: str) -> list[str]:
    """Return the command line of our server."""
    return [sys.executable, "-m", "bascule", *arguments]


def gunicorn_command(*arguments: str) -> list[str]:
    """Return the command line of the baseline: one worker, four threads, no peer trusted."""
    return [
        sys.executable, "-m", "gunicorn", "--no-control-socket", "--worker-class", "gthread",
        "--workers", "1", "--threads", "4", "--keep-alive", "75",
        "--forwarded-allow-ips", "", *arguments,
    ]  # fmt: skip


@contextlib.contextmanager
def running(
    command: Sequence[str],
    application: str,
    *,
    env: Mapping[str, str] | None = None,
    listener: socket.socket | None = None,
) -> Iterator[ServerProcess]:
    """Run `command` with a test application on an inherited listening socket; yield it answering.

    The test's own descriptor of the socket is closed once the server has it, so that a server
    that dies refuses connections instead of leaving them waiting.
    """
    listener = listener or listen()
    address: Address = listener.getsockname()
    argv = [*command, "--bind", f"fd://{listener.fileno()}", application_name(application)]
    with listener:
        server = ServerProcess(argv, address, env=env, pass_fds=[listener.fileno()])
    with server:
        server.wait_until_it_answers()
        yield server


@contextlib.contextmanager
def started(
    *arguments: str,
    address: Address,
    env: Mapping[str, str] | None = None,
    wait: bool = True,
) -> Iterator[ServerProcess]:
    """Run our server with exactly `arguments`; yield it, answering at `address` if `wait`."""
    with ServerProcess(bascule_command(*arguments), address, env=env) as server:
        if wait:
            server.wait_until_it_answers()
        yield server


def finished(
    *arguments: str, env: Mapping[str, str] | None = None, deadline: float = 20.0
) -> subprocess.CompletedProcess[str]:
    """Run our server with arguments that make it end by itself; return its status and output."""
    return subprocess.run(
        bascule_command(*arguments),
        cwd=ROOT,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=deadline,
        check=False,
    )
