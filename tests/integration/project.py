"""A project of somebody's own: modules in a directory, served from there."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.harness.client import Address, Client
from tests.harness.servers import ServerProcess, scratch
from tests.harness.waiting import wait_until

HELLO = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""


class ProjectServer(ServerProcess):
    """One server that is to be started in the directory of a project."""

    before: tuple[str, ...] = ()  # what the command line begins with: unshare, for one
    _is_started = False

    def __init__(self, argv: list[str], address: Address, directory: Path) -> None:
        self.argv = argv
        self.address = address
        self.directory = directory

    def start_there(
        self, env: Mapping[str, str] | None = None, directory: Path | None = None
    ) -> None:
        """Run the command in its directory, or in another project's."""
        command = [*self.before, *self.argv]
        super().__init__(command, self.address, cwd=directory or self.directory, env=env)
        self._is_started = True

    def __exit__(self, *_: object) -> None:
        if self._is_started:
            self.stop()

    def said(self, text: str) -> str:
        """Return its log once this is in there."""
        return wait_until(lambda: text in self.err and self.err, f"{text!r} in its log")

    def logged(self, text: str) -> str:
        """Return its access log once this is in there."""
        return wait_until(lambda: text in self.out and self.out, f"{text!r} in the access log")


@contextlib.contextmanager
def project(
    source: str, *arguments: str, files: Mapping[str, str] | None = None
) -> Iterator[ProjectServer]:
    """Give a server, not yet started, for the module ``site_`` with this source.

    It listens at ``app.sock`` in the project's directory unless the arguments say otherwise.
    """
    with scratch() as directory:
        for name, text in {"site_.py": source, **(files or {})}.items():
            (directory / name).parent.mkdir(exist_ok=True)
            (directory / name).write_text(text, encoding="utf-8")
        bind = () if "--bind" in arguments else ("--bind", "unix:app.sock")
        name = () if "--chain" in arguments else ("site_:application",)
        argv = [sys.executable, "-m", "bascule", *bind, *arguments, *name]
        with ProjectServer(argv, str(directory / "app.sock"), directory) as server:
            yield server


@contextlib.contextmanager
def served(
    source: str,
    *arguments: str,
    files: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[ProjectServer]:
    """Give a running server."""
    with project(source, *arguments, files=files) as server:
        server.start_there(env)
        server.wait_until_it_answers()
        yield server


def body_at(address: Address, request: bytes) -> bytes:
    """Return the body of the answer."""
    with Client(address) as client:
        return client.request(request).body


def names_in(directory: Path) -> set[str]:
    """Return what a project's directory has beside its modules and what Python made of them."""
    return {
        each.name
        for each in directory.iterdir()
        if each.suffix != ".py" and each.name != "__pycache__"
    }
