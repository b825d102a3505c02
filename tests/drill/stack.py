"""What a drill needs of a stack, however that one runs."""

from __future__ import annotations

import abc
import re
import subprocess

from tests.harness.tree import Tree


class Stack(Tree, abc.ABC):
    """A stack of its own, in a copy of the tree; `ops/` acts on it."""

    def must(self, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command that has to succeed."""
        done = self.run(*command, **settings)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def processes(self) -> dict[str, str]:
        """What names the process behind each worker's socket; nothing while one does not answer."""
        done = self.run("ops/health")
        if done.returncode:
            return {}
        return dict(re.findall(r"^(\S+): .* process (\d+)$", done.stdout, re.MULTILINE))

    @abc.abstractmethod
    def kill(self, process: str) -> None:
        """Kill a worker's process, and wait until its sockets are closed with it."""

    @abc.abstractmethod
    def upstreams(self) -> list[str]:
        """Return the lines that name a worker to nginx."""

    @abc.abstractmethod
    def nginx_children(self) -> set[str]:
        """Return nginx's processes, but for the one that starts them."""

    @abc.abstractmethod
    def hang_up(self) -> None:
        """Have nginx read its configuration again."""

    @abc.abstractmethod
    def good_release(self) -> list[str]:
        """Return what `ops/deploy` is to be told for new code, where that is not the checkout."""

    @abc.abstractmethod
    def bad_releases(self) -> list[tuple[list[str], dict[str, str]]]:
        """Make a release that fails each request, and one that does not load.

        Return arguments of `ops/deploy` and settings for each.
        """
