"""``basculectl``: the arguments are parsed once, then the command that they name is done."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bascule import streams
from bascule.version import __version__

from bascule_ops import program
from bascule_ops.arguments import Parser
from bascule_ops.control import (
    blocking,
    certificate,
    completion,
    dev,
    down,
    health,
    init,
    listing,
    up,
)
from bascule_ops.control.interrupts import Interrupted
from bascule_ops.control.observing import RunningCommand, StatusCommand, TopCommand
from bascule_ops.control.one_off import RunCommand, ShellCommand
from bascule_ops.control.output import finish, warn
from bascule_ops.control.project import Project
from bascule_ops.control.reading import LogsCommand, ReportCommand, RequestsCommand, SlowCommand
from bascule_ops.control.replacing import (
    DeployCommand,
    RestartCommand,
    RollbackCommand,
    ScaleCommand,
)
from bascule_ops.errors import CommandError

INTERRUPTED: Final = 130
DESCRIPTION: Final = """\
Operates the stack of one project: nginx, the workers, and what supervises them."""
EPILOG: Final = "basculectl COMMAND --help tells more."


@dataclass(frozen=True, slots=True)
class Command:
    """What a command is: what its help says, what it takes, and what it does."""

    summary: str
    description: str
    epilog: str
    add_arguments: Callable[[argparse.ArgumentParser], object]
    run: Callable[[argparse.Namespace, Project], int]


def _of(place: Any) -> Command:
    """The command that a module or a class has."""
    texts = (place.HELP, place.DESCRIPTION, place.EPILOG)
    return Command(*texts, place.add_arguments, place.run)


COMMANDS: Final[Mapping[str, Command]] = {
    "init": _of(init),
    "dev": _of(dev),
    "up": _of(up),
    "down": _of(down),
    "restart": _of(RestartCommand),
    "deploy": _of(DeployCommand),
    "rollback": _of(RollbackCommand),
    "scale": _of(ScaleCommand),
    "run": _of(RunCommand),
    "shell": _of(ShellCommand),
    "status": _of(StatusCommand),
    "running": _of(RunningCommand),
    "logs": _of(LogsCommand),
    "requests": _of(RequestsCommand),
    "slow": _of(SlowCommand),
    "top": _of(TopCommand),
    "report": _of(ReportCommand),
    "block": _of(blocking.BLOCK),
    "unblock": _of(blocking.UNBLOCK),
    "certificate": _of(certificate),
    "health": _of(health),
    "list": _of(listing),
    "completion": _of(completion),
}
# They go on, or clear up, when nobody reads what they say.
UNDISTURBED: Final = (
    *("init", "dev", "up", "down", "restart", "deploy", "rollback", "scale"),
    *("certificate", "report"),
)


def parser() -> Parser:
    """The parser of the whole command line."""
    root = Parser(prog=program.PROGRAM, description=DESCRIPTION, epilog=EPILOG)
    root.add_argument("--version", action="version", version=f"{program.PROGRAM} {__version__}")
    root.add_argument(
        "--project",
        type=Path,
        default=Path.cwd(),
        metavar="DIR",
        help="where the project is (default: the working directory)",
    )
    root.set_defaults(root=root)
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        made = commands.add_parser(
            name,
            prog=program.named(name),
            help=command.summary,
            description=command.description,
            epilog=command.epilog,
        )
        command.add_arguments(made)
        made.set_defaults(parser=made)
    return root


def parse(words: Sequence[str]) -> argparse.Namespace:
    """What the command line says; `words` of it are those after the command's name."""
    options, unknown = parser().parse_known_args(words)
    if unknown:
        options.parser.error(f"unknown argument {unknown[0]}")
    rest = list(words)
    while rest[0] != options.command:
        # --project DIR, or --project=DIR
        del rest[: 1 if "=" in rest[0] else 2]
    options.words = rest[1:]
    return options


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    streams.secure()
    os.environ.setdefault(program.VARIABLE, f"{program.PROGRAM} ")
    options = parse(sys.argv[1:] if words is None else words)
    _compare_versions()
    if words is None and options.command not in UNDISTURBED:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # whoever reads may stop, as `head` does
    name = program.named(options.command)
    root = Path(os.path.abspath(options.project))  # noqa: PTH100 (links stay as they are named)
    try:
        if not root.is_dir():
            raise CommandError(f"{root} is no directory: name the project's with --project")
        status = COMMANDS[options.command].run(options, Project(root))
        finish()
    except Interrupted as interrupted:
        return interrupted.status
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # whatever breaks here, it is words that its user needs
        warn(f"{name}: {_words(error)}")
        return error.status if isinstance(error, CommandError) else 1
    return status


def _compare_versions() -> None:
    """Say where this, in a container, is of another version than the command outside."""
    outside = os.environ.get(program.CALLER, __version__)
    if outside != __version__:
        build = f"{program.named('deploy')} --build"
        if program.prefix() != program.DOOR:
            build = f"{program.named('init')} --upgrade, and then {build},"
        warn(
            f"Bascule is {outside} here, and {__version__} in the server's image: "
            f"{build} brings the image to this version"
        )


def _words(error: Exception) -> str:
    """What went wrong; of a fault of ours, for somebody who may report it."""
    match error:
        case CommandError():
            return str(error)
        case OSError():
            words = error.strerror or str(error)
            return f"{error.filename}: {words}" if error.filename else words
        case MemoryError():
            return "there is no memory left on this machine for it"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    return f"it broke, which is a fault of Bascule's ({place}): {type(error).__name__}: {error}"
