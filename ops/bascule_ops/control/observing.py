"""``basculectl status``, ``running`` and ``top``: how the stack is, asked of its every part."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable
from typing import Final

from bascule_ops.arguments import add_colour, add_json
from bascule_ops.control.containers import (
    EngineSilentError,
    NameTakenError,
    are_inside,
    engine_answers,
)
from bascule_ops.control.local import RunDirGoneError
from bascule_ops.control.project import Project
from bascule_ops.control.replacing import cut_off
from bascule_ops.control.stack import Stack, find, not_running
from bascule_ops.errors import CommandError, NotRunning
from bascule_ops.observe import absent, running, snapshot, status

Run = Callable[[argparse.Namespace], int]


class StatusCommand:
    """Says whether the stack is healthy, and if not, which part and why."""

    HELP: Final = "say whether the stack is healthy, and if not, why"
    DESCRIPTION: Final = """\
Says whether the stack is healthy; if not, what is at fault and what to do about it. Then nginx,
disks, certificates, and a line for each worker: what it is doing, its memory, and its share of
all requests and of all time spent on them.

Every part is asked directly and none is waited for longer than 4 s, so it answers while
supervisord, nginx or a worker is dead or hangs. Where the server's container is dead, it is told
how it ended."""
    EPILOG: Final = """\
Exit status 0: healthy. 1: not healthy. 2: wrong arguments or settings. 3: the stack does not
run."""

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Add what the command takes."""
        add_json(parser)
        add_colour(parser)

    @staticmethod
    def run(options: argparse.Namespace, project: Project) -> int:
        """Print the status; return the exit status."""

        def nobody(stack: Stack) -> int:
            reason, engine = "the stack does not run", ""
            if stack.containers.are_possible():
                engine = stack.containers.ended()
            elif shutil.which("docker") and not engine_answers():
                reason = "the stack does not run here, and no container engine answers"
            return absent.tell(engine, int(os.environ["WORKERS"]), reason, options)

        try:
            return _observe("status", options, project, status.run, nobody)
        except NameTakenError as error:
            return absent.tell("", int(os.environ["WORKERS"]), str(error), options)
        except EngineSilentError as error:
            # There is a document whatever is dead.
            remedy = "see to the engine: docker info"
            return absent.tell_unknown(int(os.environ["WORKERS"]), str(error), remedy, options)
        except RunDirGoneError as error:
            workers = int(os.environ["WORKERS"])
            return absent.tell_unknown(workers, error.reason, error.remedy, options)


class RunningCommand:
    """Shows every request in flight, and where in the code it is."""

    HELP: Final = "show every request in flight, and where in the code it is"
    DESCRIPTION: Final = """\
Shows every request that a worker has at this moment, the oldest first: worker, thread, age, state,
id, method, path, and the line of code that it is at.

  body       its body is still coming      running    the application is at it
  waiting    for a thread                  sending    the client takes the answer
  streaming  a part of the answer is sent, and the application is to give more: it holds a thread
  hung       past BASCULE_TIMEOUT: its client got 504, its thread is still at it

Works while every thread of every worker hangs, and takes 4 s at most to ask. With --json it is
{"requests": [...], "silent": [workers that did not answer]}."""
    EPILOG: Final = """\
Exit status 0: that is all of them. 1: a worker did not answer, so its requests are missing.
2: wrong arguments or settings. 3: the stack does not run."""

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Add what the command takes."""
        parser.add_argument(
            "--stacks",
            action="store_true",
            help="every request's whole stack as well, innermost line last",
        )
        add_json(parser)
        add_colour(parser)

    @staticmethod
    def run(options: argparse.Namespace, project: Project) -> int:
        """Print them; return the exit status."""
        return _observe("running", options, project, running.run, _say_nobody)


class TopCommand:
    """Shows the stack live in the terminal."""

    HELP: Final = "show the stack live"
    DESCRIPTION: Final = """\
Shows the stack live: what fails and what to do about it, requests a second, latencies, every
request in flight with its age and place in the code, workers, slow calls, recent errors.

  q            quit
  up, down     choose a request in flight (also k and j, page up and down, home and end)
  enter        its stack, and the command that tells its story"""
    EPILOG: Final = """\
Exit status 0: shown. 2: wrong arguments or settings. 3: the stack does not run."""

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Add what the command takes."""
        parser.add_argument(
            "--once",
            action="store_true",
            help="print one frame and end; so it does where its output is no terminal",
        )
        add_colour(parser)

    @staticmethod
    def run(options: argparse.Namespace, project: Project) -> int:
        """Show it; return the exit status."""
        return _observe("top", options, project, _top, _say_nobody, needs_terminal=True)


def _top(options: argparse.Namespace) -> int:
    try:
        from bascule_ops.observe import top  # noqa: PLC0415 (it alone needs rich)
    except ModuleNotFoundError as error:
        raise CommandError(
            f"it draws with the package {error.name}, which {sys.executable} has not: "
            "pip install bascule brings it"
        ) from error
    return top.run(options)


def _say_nobody(_stack: Stack) -> int:
    raise NotRunning(not_running())


def _observe(
    command: str,
    options: argparse.Namespace,
    project: Project,
    run: Run,
    nobody: Callable[[Stack], int],
    *,
    needs_terminal: bool = False,
) -> int:
    """Look at the stack, or have it looked at in its container; also where parts of it are dead."""
    if are_inside():
        return run(options)
    stack = find(project)
    stack.local.check_run_dir()
    if command == "status":
        os.environ[snapshot.CUT_OFF] = json.dumps(cut_off(stack))
        if stack.mode == "docker":
            os.environ[snapshot.PROCESSES] = json.dumps(stack.containers.processes())
    if stack.local.marker.exists():
        stack.check_place()
        stack.local.recall_settings()
        return run(options)
    if not (stack.containers.server() or (command != "status" and stack.containers.run())):
        return nobody(stack)
    words = list(options.words)
    terminal: tuple[str, ...] = ("--env", snapshot.CUT_OFF, "--env", snapshot.PROCESSES)
    if needs_terminal and sys.stdin.isatty() and sys.stdout.isatty():
        names = {"TERM": "xterm", "NO_COLOR": ""}
        pairs = [f"{name}={os.environ.get(name, other)}" for name, other in names.items()]
        terminal = ("--tty", "--env", pairs[0], "--env", pairs[1])
    # Nobody's terminal is behind the container's output, so whether there is one is said here.
    elif sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        words = ["--colour", "always", *words]
    return stack.containers.become(command, *words, terminal=terminal)
