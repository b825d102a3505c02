"""Starts real server processes on sockets that the test has bound, and ends them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from .client import Address, Client, MalformedResponse

ROOT = Path(__file__).resolve().parents[3]
START_DEADLINE = 20.0  # seconds
STOP_DEADLINE = 15.0  # seconds, then SIGKILL
APPLICATIONS = "tests.applications"
PROBE = b"GET / HTTP/1.1\r\nHost: probe.test\r\nConnection: close\r\n\r\n"


def wait_until(condition, what: str, *, deadline: float = 10.0):
    """Return the first true result of `condition`, asked every few milliseconds.

    For facts that nothing announces (a file appeared, a process grew). Raises AssertionError with
    `what` after `deadline` seconds.
    """
    end = time.monotonic() + deadline
    while not (result := condition()):
        assert time.monotonic() < end, f"not within {deadline} s: {what}"
        time.sleep(0.005)  # the polling interval, not a guess at how long something takes
    return result


class ServerProcess:
    """One running server: its process, its address and what it wrote."""

    def __init__(self, argv: Sequence[str], address: Address, directory: Path) -> None:
        self.argv = list(argv)
        self.address = address
        self.directory = directory
        self.process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    @property
    def out(self) -> str:
        """What was written to standard output so far."""
        return (self.directory / "stdout").read_text(encoding="utf-8", errors="backslashreplace")

    @property
    def err(self) -> str:
        """What was written to standard error so far."""
        return (self.directory / "stderr").read_text(encoding="utf-8", errors="backslashreplace")

    def start(self, pass_fds: Sequence[int] = (), env: dict[str, str] | None = None) -> None:
        """Run the command, its output into files of the directory."""
        with (
            (self.directory / "stdout").open("wb") as out,
            (self.directory / "stderr").open("wb") as err,
        ):
            self.process = subprocess.Popen(
                self.argv,
                cwd=ROOT,
                env=environment(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                pass_fds=pass_fds,
            )

    def wait_until_it_answers(self) -> None:
        """Return once a request was answered, whatever the answer; raise if it cannot be."""
        end = time.monotonic() + START_DEADLINE
        while True:
            with (
                contextlib.suppress(OSError, MalformedResponse),
                Client(self.address, deadline=max(end - time.monotonic(), 0.1)) as client,
            ):
                client.send(PROBE)
                if client.read() is not None:
                    return
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"{self.argv} does not answer:\n{self.err}{self.out}")
            time.sleep(0.01)  # the polling interval

    def client(self, *, deadline: float = 20.0, receive_buffer: int | None = None) -> Client:
        """Connect."""
        return Client(self.address, deadline=deadline, receive_buffer=receive_buffer)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this process alone."""
        self.process.send_signal(number)

    def wait(self, deadline: float = STOP_DEADLINE) -> int:
        """Wait for the end; return the exit status."""
        return self.process.wait(deadline)

    def stop(self) -> int:
        """End it with SIGTERM, after a deadline with SIGKILL; return the exit status."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without what would configure a server, and `extra`."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BASCULE_", "GUNICORN_", "COV_", "PYTEST_"))
        and name not in ("SCRIPT_NAME", "WEB_CONCURRENCY", "PORT", "GATE")
    }
    return {**inherited, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "", **(extra or {})}


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Give a directory with a path short enough for a unix socket's name (108 bytes)."""
    directory = Path(tempfile.mkdtemp(prefix="bascule-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def free_port() -> tuple[socket.socket, int]:
    """Bind 127.0.0.1:0 and return the listening socket with its port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    return listener, listener.getsockname()[1]


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
    env: dict[str, str] | None = None,
    listener: socket.socket | None = None,
) -> Iterator[ServerProcess]:
    """Run `command` with a test application on an inherited listening socket; yield it answering.

    The test's own descriptor of the socket is closed once the server has it, so that a server
    that dies refuses connections instead of leaving them waiting.
    """
    if listener is None:
        listener, _ = free_port()
    address: Address = listener.getsockname()
    with scratch() as directory:
        argv = [*command, "--bind", f"fd://{listener.fileno()}", application_name(application)]
        server = ServerProcess(argv, address, directory)
        with listener:
            server.start(pass_fds=[listener.fileno()], env=env)
        try:
            server.wait_until_it_answers()
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def started(
    *arguments: str,
    address: Address,
    env: dict[str, str] | None = None,
    wait: bool = True,
) -> Iterator[ServerProcess]:
    """Run our server with exactly `arguments`; yield it, answering at `address` if `wait`."""
    with scratch() as directory:
        server = ServerProcess(bascule_command(*arguments), address, directory)
        server.start(env=env)
        try:
            if wait:
                server.wait_until_it_answers()
            yield server
        finally:
            server.stop()


def finished(
    *arguments: str, env: dict[str, str] | None = None, deadline: float = 20.0
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
