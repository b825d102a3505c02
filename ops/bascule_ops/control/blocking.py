"""``basculectl block`` and ``unblock``, in whichever way the stack runs."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Final

from bascule_ops.blocking import command
from bascule_ops.control.containers import are_inside
from bascule_ops.control.project import Project
from bascule_ops.control.stack import find, not_running
from bascule_ops.errors import CommandError


class Blocking:
    """One of the two commands.

    Args:
        name: what it is called.
        what: what it does where the run directory is.
    """

    def __init__(
        self, name: str, what: type[command.BlockCommand] | type[command.UnblockCommand]
    ) -> None:
        self._name = name
        self._what = what
        self.HELP: Final = what.HELP
        self.DESCRIPTION: Final = what.DESCRIPTION
        self.EPILOG: Final = what.EPILOG
        self.add_arguments = what.add_arguments

    def run(self, options: argparse.Namespace, project: Project) -> int:
        """Do it; return the exit status."""
        if are_inside():
            return self._what.run(options, Path(os.environ.get("RUN_DIR", "/run/bascule")))
        stack = find(project)
        match stack.mode:
            case "local":
                return self._what.run(options, stack.local.run_dir)
            case "docker":
                stack.containers.become(self._name, *options.words)
        raise CommandError(not_running())


BLOCK: Final = Blocking("block", command.BlockCommand)
UNBLOCK: Final = Blocking("unblock", command.UnblockCommand)
