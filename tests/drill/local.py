"""A stack in local mode."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tests.drill.stack import Stack
from tests.harness.tree import LIMIT
from tests.harness.waiting import wait_until

FAILS_EACH_REQUEST = """
def application(environ, start_response):
    raise RuntimeError("a bad release")
"""
DOES_NOT_LOAD = "raise RuntimeError('a bad import')\n"


class Local(Stack):
    """Processes of this machine."""

    def kill(self, process: str) -> None:
        """See `Stack`."""
        os.kill(int(process), signal.SIGKILL)
        wait_until(lambda: is_gone(process), f"the end of {process}", limit=LIMIT)

    def upstreams(self) -> list[str]:
        """See `Stack`."""
        return (self.run_dir / "nginx" / "upstream_servers.conf").read_text().splitlines()

    def nginx_children(self) -> set[str]:
        """See `Stack`."""
        master = self._nginx()
        return set(Path(f"/proc/{master}/task/{master}/children").read_text().split())

    def hang_up(self) -> None:
        """See `Stack`."""
        self.must("nginx/reload.sh", NGINX_RUN_DIR=str(self.run_dir / "nginx"))

    def good_release(self) -> list[str]:
        """See `Stack`."""
        return []

    def bad_releases(self) -> list[tuple[list[str], dict[str, str]]]:
        """See `Stack`."""
        modules = {"fails_each_request": FAILS_EACH_REQUEST, "does_not_load": DOES_NOT_LOAD}
        for name, text in modules.items():
            (self.root / f"{name}.py").write_text(text)
        return [([], {"BASCULE_APP": f"{name}:application"}) for name in modules]

    def _nginx(self) -> int:
        return int((self.run_dir / "nginx" / "nginx.pid").read_text())


LocalKind = TypeVar("LocalKind", bound=Local)


@contextmanager
def maker(kind: Callable[[Path | None], LocalKind]) -> Iterator[Callable[[], LocalKind]]:
    """Yield what makes stacks of a kind, which share one virtual environment."""
    first = kind(None)
    first.run("ops/up", "--local")
    first.run("ops/down")
    try:
        yield lambda: kind(first.root / ".venv-run")
    finally:
        first.remove()


def is_gone(pid: str) -> bool:
    """Whether a process is dead, its last thread too, and its sockets closed with that."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state in "ZX" and len(list(Path(f"/proc/{pid}/task").iterdir())) == 1
    except (FileNotFoundError, ProcessLookupError):
        return True
