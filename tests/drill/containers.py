"""A stack of containers."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tests.drill.stack import Stack
from tests.harness.processes import ROOT
from tests.stack import releases
from tests.stack.project import Project, run

KILL = 'kill -KILL "$1"; while [ -e "/proc/$1" ]; do sleep 0.01; done'
CHILDREN = 'read -r pid </run/nginx/nginx.pid; cat "/proc/$pid/task/$pid/children"'


@contextmanager
def images() -> Iterator[str]:
    """Build the images with the load's application in them; yields what their tags begin with."""
    prefix = f"drill-{uuid.uuid4().hex[:8]}"
    try:
        project = Project(name=f"bascule-{prefix}", image_tag=prefix)
        project.compose("build", "--quiet", "nginx", "server")
        base = f"bascule-server:{prefix}"
        for number in ("1", "2"):
            releases.build(f"{prefix}-{number}", releases.GOOD, base, number)
        good = f"bascule-server:{prefix}-1"
        releases.build(f"{prefix}-fails", releases.BROKEN, good)
        releases.build(f"{prefix}-does-not-load", releases.UNLOADABLE, good)
        yield prefix
    finally:
        releases.remove(prefix)


class Containers(Stack):
    """The containers of a compose project of their own, from images whose tags begin so."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        shutil.copy(ROOT / "docker-compose.yml", self.root)
        self._prefix = prefix
        run("docker", "tag", f"bascule-server:{prefix}-1", f"bascule-server:{prefix}")
        self.environ |= {
            "COMPOSE_PROJECT_NAME": f"bascule-{uuid.uuid4().hex[:8]}",
            "IMAGE_NAME": "bascule",
            "IMAGE_TAG": prefix,
            "HTTP_PORT": f"127.0.0.1:{self.port}",
        }

    def up(self, **settings: str) -> subprocess.CompletedProcess[str]:
        """Start it."""
        return self.run(
            *("docker", "compose", "up", "--detach", "--no-build", "--wait"), **settings
        )

    def remove(self) -> None:
        """Stop what still runs and remove it."""
        self.run("docker", "compose", "down", "--volumes", "--timeout=5")
        shutil.rmtree(self.root)

    def processes(self) -> dict[str, str]:
        """Return container and process id: one id alone may be another's in the next container."""
        container = self._containers("server")[0]
        return {name: f"{container} {pid}" for name, pid in super().processes().items()}

    def kill(self, process: str) -> None:
        """See `Stack`."""
        container, pid = process.split()
        self.must("docker", "exec", container, "sh", "-c", KILL, "sh", pid)

    def upstreams(self) -> list[str]:
        """See `Stack`."""
        return self._in_nginx("cat", "/run/nginx/upstream_servers.conf").splitlines()

    def nginx_children(self) -> set[str]:
        """See `Stack`."""
        return set(self._in_nginx("sh", "-c", CHILDREN).split())

    def hang_up(self) -> None:
        """See `Stack`."""
        self.must("docker", "compose", "kill", "--signal", "HUP", "nginx")

    def good_release(self) -> list[str]:
        """See `Stack`."""
        return ["--image", f"{self._prefix}-2"]

    def bad_releases(self) -> list[tuple[list[str], dict[str, str]]]:
        """See `Stack`."""
        return [(["--image", f"{self._prefix}-{bad}"], {}) for bad in ("fails", "does-not-load")]

    def log(self) -> list[dict[str, Any]]:
        """Return the JSON lines that the containers have written."""
        written = ""
        for container in self._containers("nginx", "server"):
            done = self.must("docker", "logs", container)
            written += done.stdout + done.stderr
        return [json.loads(line) for line in written.splitlines() if line.startswith("{")]

    def _containers(self, *services: str) -> list[str]:
        return self.must("docker", "compose", "ps", "--all", "--quiet", *services).stdout.split()

    def _in_nginx(self, *command: str) -> str:
        return self.must("docker", "compose", "exec", "-T", "nginx", *command).stdout


ContainersKind = TypeVar("ContainersKind", bound=Containers)


@contextmanager
def maker(kind: Callable[[str], ContainersKind]) -> Iterator[Callable[[], ContainersKind]]:
    """Yield what makes stacks of a kind, which share their images."""
    with images() as prefix:
        yield lambda: kind(prefix)
