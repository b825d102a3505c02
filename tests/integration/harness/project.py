"""A project of somebody's own: modules in a directory, served from there."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from .client import Address, Client
from .process import ServerProcess, environment, scratch, wait_until

HELLO = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""


class ProjectServer(ServerProcess):
    """One server that was started in the directory of a project."""

    before: tuple[str, ...] = ()  # what the command line begins with: unshare, for one

    def start_there(
        self, env: Mapping[str, str] | None = None, directory: Path | None = None
    ) -> None:
        """Run the command in its directory, or in another project's."""
        with (
            (self.directory / "stdout").open("wb") as out,
            (self.directory / "stderr").open("wb") as err,
        ):
            self.process = subprocess.Popen(
                [*self.before, *self.argv],
                cwd=directory or self.directory,
                env=environment(dict(env or {})),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

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
        server = ProjectServer(argv, str(directory / "app.sock"), directory)
        try:
            yield server
        finally:
            if hasattr(server, "process"):
                server.stop()


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
    """Return what a project's directory has beside its modules and what was written to it."""
    return {
        each.name
        for each in directory.iterdir()
        if each.suffix != ".py" and each.name not in ("stdout", "stderr", "__pycache__")
    }
