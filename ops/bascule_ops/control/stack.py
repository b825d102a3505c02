"""Which way the stack of a project runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from bascule_ops import program
from bascule_ops.control import journal
from bascule_ops.control.containers import Containers
from bascule_ops.control.local import LocalStack
from bascule_ops.control.project import Project
from bascule_ops.errors import CommandError

Mode = Literal["local", "docker", "none"]
NOT_RUNNING: Final = "the stack does not run; ops/up starts it"


@dataclass(frozen=True, slots=True)
class Stack:
    """A project's stack, in whichever way it runs."""

    project: Project
    local: LocalStack
    containers: Containers

    @property
    def mode(self) -> Mode:
        """Which way it runs now; a stack whose supervisord was killed has not stopped by that."""
        if self.local.pid():
            return "local"
        if self.containers.run():
            return "docker"
        return "local" if self.local.marker.exists() else "none"

    def check_place(self) -> None:
        """Raise `CommandError` where the processes of local mode look for all of it elsewhere."""
        if before := self.local.moved_from():
            raise CommandError(
                f"the project was {before} when its stack was started, and its processes look for "
                f"their files there: {program.named('down')}, then {program.named('up')}"
            )

    def journal(self) -> Path:
        """Where is kept which operation is at work on it."""
        name = "" if self.mode == "local" else self.containers.name()
        return journal.path(self.project.root, name)


def find(project: Project) -> Stack:
    """The stack of a project, its settings in the environment. Raises `Refused`."""
    run_dir = project.load()
    return Stack(
        project, LocalStack(project.root, run_dir), Containers(project.root, project.environ)
    )


def not_running() -> str:
    """What is said where nothing runs."""
    return program.spelled(NOT_RUNNING)
