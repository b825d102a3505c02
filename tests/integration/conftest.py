"""Servers that live as long as a test module: one process for each application and command."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.harness.servers import (
    ServerProcess,
    bascule_command,
    gunicorn_command,
    running,
    scratch,
)

from .gate import Gate


class Servers:
    """Starts a server for an application at its first use and keeps it."""

    def __init__(self, command: Sequence[str], stack: contextlib.ExitStack) -> None:
        self._command = command
        self._stack = stack
        self._running: dict[str, ServerProcess] = {}

    def __getitem__(self, application: str) -> ServerProcess:
        if application not in self._running:
            self._running[application] = self._stack.enter_context(
                running(self._command, application)
            )
        return self._running[application]


@pytest.fixture(scope="module")
def bascule() -> Iterator[Servers]:
    """Our server, by application."""
    with contextlib.ExitStack() as stack:
        yield Servers(bascule_command("--threads", "4"), stack)


@pytest.fixture(scope="module")
def gunicorn() -> Iterator[Servers]:
    """The baseline, by application."""
    with contextlib.ExitStack() as stack:
        yield Servers(gunicorn_command(), stack)


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Where calls wait for the test."""
    with scratch() as directory, Gate(directory) as found:
        yield found


@pytest.fixture
def status() -> Iterator[Path]:
    """Where a process tells its status."""
    with scratch() as directory:
        yield directory / "status"
