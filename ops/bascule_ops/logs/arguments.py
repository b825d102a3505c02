"""The arguments that ops/logs, requests, slow and report share, and the log that they name."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn, TypeVar

from bascule_ops.logs import moments
from bascule_ops.logs.files import Files, rotated
from bascule_ops.logs.selection import LEVELS, Selection, statuses
from bascule_ops.logs.source import Compose, Source, StandardInput

T = TypeVar("T")


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line and ends with status 2."""

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"{self.prog}: {message}; see {self.prog} --help\n")
        sys.exit(2)


def parser(program: str) -> Parser:
    """A parser with what says which log is read, and from when to when.

    --file is for users. The others are how the scripts in ops/ say where the stack's log is, or,
    with --no-stack, why there is none; so a wrong call is told before a stack that does not run.
    """
    made = Parser(prog=program, add_help=False, allow_abbrev=False)
    made.add_argument("--file", type=_readable, action="append")
    made.add_argument("--stack-log", type=Path)
    made.add_argument("--stack-pid", type=int, default=0)
    made.add_argument("--compose", type=Path)
    made.add_argument("--no-stack", default="")
    now = datetime.now(UTC)
    moment = checked(lambda text: moments.moment(text, now))
    made.add_argument("--since", type=moment)
    made.add_argument("--until", type=moment)
    made.add_argument("--json", action="store_true", default=None)
    return made


def add_filters(made: Parser) -> None:
    """Add what says which requests, and which lines about them."""
    made.add_argument("--status", type=checked(statuses), default=())
    made.add_argument("--slower", type=checked(moments.duration), default=0.0)
    made.add_argument("--path", default="")


def add_line_filters(made: Parser) -> None:
    """Add what says which lines."""
    made.add_argument("--event", default="")
    made.add_argument("--level", choices=LEVELS, default="")
    made.add_argument("--worker", default="")


def selection(options: argparse.Namespace) -> Selection:
    """What the options ask for."""
    given = vars(options)
    return Selection(
        since=options.since or "",
        until=options.until or "",
        statuses=given.get("status", ()),
        slower_ms=given.get("slower", 0.0) * 1000,
        path=given.get("path", ""),
        events=tuple(filter(None, given.get("event", "").split(","))),
        level=given.get("level", ""),
        worker=given.get("worker", ""),
    )


def default_since(options: argparse.Namespace, ago: str) -> None:
    """Have a stack's log read from a while ago on, unless it is said; a saved one is read whole."""
    if options.since is None and not options.file:
        options.since = moments.moment(ago, datetime.now(UTC))


def source(options: argparse.Namespace) -> Source:
    """The log that the options name; standard input where they name none.

    Ends with status 1 where they say that there is none.
    """
    if options.no_stack:
        sys.stderr.write(f"{options.no_stack}\n")
        sys.exit(1)
    if options.file:
        if any(str(path) == "-" for path in options.file):
            return StandardInput()
        return Files(tuple(options.file))
    if options.stack_log:
        return Files(rotated(options.stack_log), options.stack_pid)
    if options.compose:
        return Compose(options.compose)
    return StandardInput()


def checked(read: Callable[[str], T]) -> Callable[[str], T]:
    """`read`, its ValueError as the message that argparse shows."""

    def convert(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def _readable(text: str) -> Path:
    if text != "-":
        try:
            with Path(text).open("rb"):
                pass
        except OSError as error:
            raise argparse.ArgumentTypeError(f"cannot read {text}: {error.strerror}") from None
    return Path(text)
