"""A repository of a foreign application, served in local mode or in containers."""

from __future__ import annotations

import inspect
import os
import shlex
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.frameworks.browser import Browser
from tests.harness import processes, repositories
from tests.harness.fetch import Reply
from tests.harness.ports import free_port

LIMIT: Final = 900.0  # seconds for a command; a cold build fetches packages
VERSIONS: Final = Path(__file__).parent / "requirements.txt"
LOCAL: Final = "local mode"
CONTAINERS: Final = "containers"


class CommandError(AssertionError):
    """A command failed; the text is what it printed."""


@dataclass(slots=True)
class Site:
    """A repository, and what serves it.

    Attributes:
        root: where the repository is.
        mode: `LOCAL` or `CONTAINERS`.
        venv: the virtual environment that is active there.
        clients: that of the client.
        commands: what a user would have typed so far.
        seconds: from `basculectl init` to the first answer.
        port: that of nginx; 0 while nothing is served.
    """

    root: Path
    mode: str
    venv: Path
    clients: Path
    commands: list[str] = field(default_factory=list)
    seconds: float = 0.0
    port: int = 0
    name: str = field(default_factory=lambda: f"bascule-foreign-{uuid.uuid4().hex[:8]}")

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://localhost:{self.port}"

    def environment(self) -> dict[str, str]:
        """What its commands find in the environment."""
        mine = {
            "PATH": f"{self.venv / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "VIRTUAL_ENV": str(self.venv),
            "STATUS_PORT": "off" if self.mode == LOCAL else "0",
            "HTTP_PORT": str(self.port) if self.mode == LOCAL else "127.0.0.1:0",
            "COMPOSE_PROJECT_NAME": self.name,
            "BUILDKIT_PROGRESS": "plain",
        }
        return inherited() | mine

    def shell(self, *command: str) -> str:
        """Run a command on this machine, in the repository; return what it prints.

        Raises:
            CommandError: it failed.
        """
        self.commands.append(shlex.join(command))
        return run(*command, cwd=self.root, environment=self.environment())

    def one_off(self, *command: str) -> str:
        """Run a command of the application's own: right here, or in a container."""
        if self.mode == LOCAL:
            return self.shell("basculectl", "run", "--local", "--", *command)
        return self.shell("docker", "compose", "run", "--build", "--rm", "-T", "server", *command)

    def client(self, *words: str, check: bool = True) -> str:
        """Run the client's Python; return what it prints."""
        python = str(self.clients / "bin" / "python")
        return run(python, *words, cwd=self.clients, environment=inherited(), check=check)

    def client_calls(self, use: Callable[..., None], *arguments: str) -> list[str]:
        """Call a function in the client's Python, with the address first; return its lines.

        It stands for itself: it imports what it needs, and uses no name of its module.
        """
        call = f"{use.__name__}(*{(self.url, *arguments)!r})"
        return self.client("-c", f"{inspect.getsource(use)}\n{call}").splitlines()

    def browser(self) -> Browser:
        """A client with cookies; it has none yet."""
        return Browser(self.port, Host=f"localhost:{self.port}")

    def get(self, path: str) -> Reply:
        """Ask nginx, as a client without cookies."""
        return self.browser().get(path)

    def up(self) -> None:
        """Start it; a free port where a user would have the usual one."""
        if self.mode == LOCAL:
            self.port = free_port()
            self.shell("basculectl", "up", "--local")
            return
        self.shell("docker", "compose", "up", "--build", "--detach", "--wait")
        asked = ("docker", "compose", "port", "nginx", "8080")
        said = run(*asked, cwd=self.root, environment=self.environment())
        self.port = int(said.strip().rpartition(":")[2])

    def down(self) -> None:
        """Stop it; nothing of it is left."""
        if self.mode == LOCAL:
            run("basculectl", "down", cwd=self.root, environment=self.environment())
            return
        down = ("docker", "compose", "down", "--volumes", "--timeout=5", "--rmi=all")
        run(*down, cwd=self.root, environment=self.environment())

    def log(self) -> str:
        """The end of what it wrote, for a message."""
        words = ("basculectl", "logs", "--lines", "40")
        return run(*words, cwd=self.root, environment=self.environment(), check=False)


def inherited() -> dict[str, str]:
    """The environment of a user, who has Bascule as it was installed and not this checkout's."""
    return {name: value for name, value in processes.inherited().items() if name != "PYTHONPATH"}


def run(*command: str, cwd: Path, environment: dict[str, str], check: bool = True) -> str:
    """Run a command to its end; return what it prints, to either stream.

    Raises:
        CommandError: it failed, and `check` is true.
    """
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=LIMIT,
    )
    if check and done.returncode:
        text = f"{shlex.join(command)}: exit status {done.returncode}\n{done.stdout}"
        raise CommandError(text)
    return done.stdout


@contextmanager
def clock(site: Site) -> Iterator[None]:
    """Measure until the first answer."""
    began = time.monotonic()
    yield
    reply = site.get("/")
    site.seconds = time.monotonic() - began
    assert reply.status < 400, f"{reply.status}: {reply.text}\n{site.log()}"


def new_files(site: Site) -> list[str]:
    """What git sees beside the application's own files; Python's are on nobody's account."""
    found = repositories.new_files(site.root)
    return [each for each in found if "__pycache__/" not in each]
