"""A copy of the tree in which a test starts, breaks and stops a stack of its own."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness import nginx, processes
from tests.harness.fetch import NO_RESPONSE, ask, connect, fetch
from tests.harness.ports import free_port
from tests.harness.processes import ROOT, inherited

PARTS = (
    *("app", "middleware", "server", "nginx", "ops", "requirements"),
    # Applications of the tools, and what is run in a copy.
    *("tests/harness", "tests/load", "tests/pictures", "tests/soak"),
)
LIMIT = 60.0  # seconds for a command or for anything else that a test waits for


@dataclass(slots=True)
class Crowd:
    """Clients that go on until it is over: what failed, and a count of what was answered."""

    failures: list[str] = field(default_factory=list)
    answered: Iterator[int] = field(default_factory=itertools.count)
    over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def crowd_of(number: int, client: Callable[[Crowd], None]) -> Iterator[list[str]]:
    """Run so many clients while the block runs; yields a list of what failed."""
    crowd = Crowd()
    clients = [threading.Thread(target=client, args=(crowd,)) for _ in range(number)]
    for each in clients:
        each.start()
    try:
        yield crowd.failures
    finally:
        crowd.over.set()
        for each in clients:
            each.join()
    assert next(crowd.answered) > 50, "the load did not come about"


def share_venv(venv: Path, root: Path) -> None:
    """Give a copy of the checkout a virtual environment with what is installed in another one.

    That has to have what ``ops/up`` would install, and may have more. Only the packages that are the
    checkout's own are the copy's.
    """
    (packages,) = venv.glob("lib/python3*/site-packages")
    own = root / ".venv-run"
    shared = own / packages.relative_to(venv)
    shared.mkdir(parents=True)
    for entry in packages.iterdir():
        if entry.name != "bascule.pth":
            (shared / entry.name).symlink_to(entry)
    places = (f"{root / part}\n" for part in ("server", "middleware", "ops"))
    (shared / "bascule.pth").write_text("".join(places))
    (own / "bin").symlink_to(venv / "bin")
    shutil.copy(venv / "pyvenv.cfg", own)
    locks = ["stack"] if nginx.installed() else ["stack", "local"]
    texts = [(root / "requirements" / f"{each}.txt").read_text() for each in locks]
    (own / "installed.txt").write_text("".join(texts))


class Tree:
    """A checkout's copy in a directory of its own, with a port of its own.

    `venv`, where given, is another copy's virtual environment, to save making one.
    """

    def __init__(self, venv: Path | None = None, **settings: str) -> None:
        # Short, because unix sockets lie in it.
        self.root = Path(tempfile.mkdtemp(prefix="ops-"))
        ignore = shutil.ignore_patterns("__pycache__")
        for part in PARTS:
            shutil.copytree(ROOT / part, self.root / part, symlinks=True, ignore=ignore)
        if venv:
            share_venv(venv, self.root)
        self.port = free_port()
        self.status_port = free_port()
        self.environ = inherited() | {
            "HTTP_PORT": str(self.port),
            "STATUS_PORT": str(self.status_port),
            # How long a draining worker waits for nginx.
            "NGINX_UPSTREAM_KEEPALIVE_TIMEOUT": "1s",
            **settings,
        }
        self.run_dir = self.root / ".run"

    def run(self, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the tree to its end."""
        return subprocess.run(
            command,
            cwd=self.root,
            env=self.environ | settings,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT * 2,
        )

    def up(self, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run ``ops/up`` in local mode."""
        return self.run("ops/up", "--local", **settings)

    def remove(self) -> None:
        """Stop what still runs and remove the copy."""
        self.run("ops/down")
        shutil.rmtree(self.root)

    def pids(self) -> set[int]:
        """supervisord and all processes under it."""
        return set(processes.tree(int((self.run_dir / "supervise.pid").read_text())))

    def worker_pids(self) -> dict[str, str]:
        """The process that answers on each worker's socket, by the worker's name."""
        done = self.run("ops/health")
        assert done.returncode == 0, done.stdout + done.stderr
        lines = (line.split(": ") for line in done.stdout.splitlines())
        return {name: answer.rpartition(" ")[2] for name, answer in lines}

    def get(
        self, target: str, method: str = "GET", body: bytes | None = None, port: int | None = None
    ) -> tuple[int, bytes]:
        """Send one request through nginx, to the site or to another port of it."""
        reply = fetch(port or self.port, target, method, body, limit=LIMIT)
        return reply.status, reply.body

    def log(self) -> list[dict[str, Any]]:
        """The log's JSON lines so far."""
        # What is just being written is not a line yet.
        whole, _, _ = (self.run_dir / "bascule.log").read_text().rpartition("\n")
        lines = whole.splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    @contextmanager
    def load(self) -> Iterator[list[str]]:
        """Mixed GET and POST, about 300 a second, while the block runs.

        Yields a list of what failed; empty is what one wants.
        """

        def client(crowd: Crowd) -> None:
            with closing(connect(self.port, limit=10)) as connection:
                for number in itertools.count():
                    if crowd.over.wait(0.02):
                        break
                    method, body = (("GET", None), ("POST", b"x" * 100))[number % 2]
                    try:
                        reply = ask(connection, "/alice", method, body)
                    except NO_RESPONSE as error:
                        crowd.failures.append(f"{method}: {error!r}")
                        connection.close()
                        continue
                    if reply.status != 200 or b"alice" not in reply.body:
                        crowd.failures.append(f"{method}: {reply.status} {reply.body[:80]!r}")
                    next(crowd.answered)

        with crowd_of(6, client) as failures:
            yield failures
