"""``basculectl down``: stops what ``up`` started."""

from __future__ import annotations

import argparse
from typing import Final

from bascule_ops.control import journal
from bascule_ops.control.containers import EngineSilentError, NameTakenError
from bascule_ops.control.output import say
from bascule_ops.control.project import Project
from bascule_ops.control.stack import find
from bascule_ops.errors import CommandError

HELP: Final = "stop the stack"
DESCRIPTION: Final = """\
Stops the stack, in whichever way it was started: requests in flight are finished, then every
process ends and the run directory goes. Harmless when nothing runs. Built images stay, for the
next start."""
EPILOG: Final = "Exit status 0: nothing runs any more. 1: something does not end. 2: wrong call."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(_options: argparse.Namespace, project: Project) -> int:
    """Stop the stack; return the exit status."""
    stack = find(project)
    is_stopped = False
    # Both, one after the other: somebody may have tried one mode and then the other.
    silent = taken = ""
    try:
        has_containers = stack.containers.run()
    except EngineSilentError as error:
        has_containers, silent = False, str(error)
    except NameTakenError as error:
        has_containers, taken = False, f" Not touched: {error}"
    if has_containers:
        stack.containers.end_servers_beside()
        if stack.containers.compose("--profile", "*", "down", "--remove-orphans"):
            raise CommandError("docker compose could not stop the stack; its message is above")
        journal.forget(journal.path(project.root, stack.containers.name()))
        is_stopped = True
    stack.local.recall_settings()
    is_stopped = is_stopped or bool(stack.local.pid() or stack.local.pid_before())
    stack.local.stop()
    journal.forget(journal.path(project.root))
    if silent:
        say("Stopped, what ran here." if is_stopped else "Nothing runs here.")
        raise CommandError(silent)
    say(f"{'Stopped.' if is_stopped else 'Nothing runs.'}{taken}")
    return 0
