"""``basculectl run`` and ``shell``: a command of one's own where the application's are."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bascule_ops.control.project import Project
from bascule_ops.control.stack import find
from bascule_ops.errors import Refused
from bascule_ops.supervision.command import become

_MODES: Final = ("--docker", "--local")


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """That of a command here: the programs of the Python that runs this come first."""
    path = environ.get("PATH", os.defpath)
    found = {**environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{path}"}
    if sys.prefix != sys.base_prefix:
        found["VIRTUAL_ENV"] = sys.prefix
    return found


def _run(project: Project, words: Sequence[str], mode: str | None) -> int:
    """Become a command here, or run it in a container."""
    stack = find(project)
    mode = mode or stack.mode
    if mode == "none":
        mode = "docker" if stack.containers.are_possible() else "local"
    if mode == "docker":
        return stack.containers.run_one_off(words)
    os.environ.update(environment(os.environ))
    os.chdir(project.root)
    return become(words)


def _add_modes(parser: argparse.ArgumentParser) -> None:
    mode = parser.add_mutually_exclusive_group()
    texts = ("in a container, or an error", "here, even where the stack is in containers")
    for option, text in zip(_MODES, texts, strict=True):
        mode.add_argument(option, action="store_const", const=option[2:], dest="mode", help=text)


class RunCommand:
    """Runs a command of the project's."""

    HELP: Final = "run a command of your own with the project's settings"
    DESCRIPTION: Final = """\
Runs a command where the application's processes run, with their settings (.env, the environment):

  basculectl run -- python manage.py migrate

In local mode that is here: the working directory is the project's, and the programs beside the
Python that runs Bascule come first on the PATH. With containers it is a new container of the image
that serves, which is removed at the end. Input, output, the terminal, Ctrl-C and the exit status
are the command's."""
    EPILOG: Final = """\
Exit status: the command's. 126: it cannot be run. 127: it is not there. 1: there is no container
to run it in. 2: wrong call or settings."""

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Add what the command takes."""
        _add_modes(parser)
        parser.add_argument(
            "arguments", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command's words"
        )

    @staticmethod
    def run(options: argparse.Namespace, project: Project) -> int:
        """Become it."""
        words = list(options.words)  # argparse takes a -- of the command's for its own
        while words and words[0] in _MODES:
            del words[0]
        if words[:1] == ["--"]:
            del words[0]
        if not words:
            raise Refused("name a command, such as: run -- python manage.py migrate")
        return _run(project, words, options.mode)


class ShellCommand:
    """Opens the framework's shell."""

    HELP: Final = "open a Python shell with the application loaded"
    DESCRIPTION: Final = """\
Opens the framework's own shell, as run would: Django's `manage.py shell`, Flask's `flask shell`,
Pyramid's `pshell`; elsewhere Python, with the application as `application`. A shell of the system
is: run -- bash"""
    EPILOG: Final = """\
Exit status: the shell's. 1: there is no container to run it in. 2: wrong call or settings. 4: the
application does not load."""

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Add what the command takes."""
        _add_modes(parser)

    @staticmethod
    def run(options: argparse.Namespace, project: Project) -> int:
        """Become it."""
        return _run(project, ("python3", "-P", "-m", "bascule.shell"), options.mode)
