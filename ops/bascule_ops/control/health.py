"""``basculectl health``: asks every worker, over its own socket."""

from __future__ import annotations

import argparse
import os
from typing import Final

from bascule_ops import readiness
from bascule_ops.control.containers import are_inside
from bascule_ops.control.project import Project
from bascule_ops.control.stack import find, not_running
from bascule_ops.errors import CommandError
from bascule_ops.settings import variables

HELP: Final = "ask every worker whether it answers"
DESCRIPTION: Final = """\
Asks every worker for HEALTH_PATH and prints a line for each. The health check of the server's
container asks the same."""
EPILOG: Final = "Exit status 0: all answered. 1: not all, or nothing runs. 2: wrong call."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(_options: argparse.Namespace, project: Project) -> int:
    """Ask them; return the exit status."""
    if are_inside():
        variables.set_defaults(os.environ)
    else:
        stack = find(project)
        stack.local.recall_settings()
        if stack.mode == "docker":
            stack.containers.become("health")
        if stack.mode == "none":
            raise CommandError(not_running())
    variables.read(os.environ)
    environ = os.environ
    run_dir = environ.get("RUN_DIR", "/run/bascule")
    return readiness.report(run_dir, int(environ["WORKERS"]), environ["HEALTH_PATH"])
