"""The arguments that logs, requests, slow and report share, and the log that they name."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bascule_ops.arguments import checked
from bascule_ops.logs import moments
from bascule_ops.logs.files import Files
from bascule_ops.logs.selection import LEVELS, Selection, statuses
from bascule_ops.logs.source import Source, StandardInput

TIME: Final = "10m (ten minutes ago), 90s, 2h, 1d, or 2026-11-21T10:00Z"
Stack = Callable[[], Source]


def add_log(parser: argparse.ArgumentParser, since: str = "") -> None:
    """Add what says which log is read, and from when to when; `since` is the default's text."""
    parser.add_argument(
        *("--file",),
        type=_readable,
        action="append",
        metavar="FILE",
        help="a saved log, from its beginning, in place of the stack's; - is standard input",
    )
    now = datetime.now(UTC)
    moment = checked(lambda text: moments.moment(text, now))
    default = f" (default: {since})" if since else ""
    parser.add_argument("--since", type=moment, metavar="TIME", help=f"{TIME}{default}")
    parser.add_argument("--until", type=moment, metavar="TIME", help="the same")


def add_path(parser: argparse._ActionsContainer) -> None:
    """Add what says which paths."""
    parser.add_argument(
        *("--path",),
        default="",
        metavar="P",
        help="about paths that begin with P; with * or ?, that look like P",
    )


def add_filters(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add what says which requests, and which lines about them."""
    group = parser.add_argument_group("filters", "what is shown fits all of them")
    group.add_argument(
        *("--status",), type=checked(statuses), default=(), metavar="S",
        help="requests with this status: 404, 5xx, or 500,502",
    )  # fmt: skip
    group.add_argument(
        *("--slower",), type=checked(moments.duration), default=0.0, metavar="D",
        help="requests that took at least so long: 500ms, 2s",
    )  # fmt: skip
    add_path(group)
    return group


def add_line_filters(group: argparse._ArgumentGroup) -> None:
    """Add what says which lines."""
    group.add_argument(
        *("--event",), default="", metavar="NAME",
        help="request, slow_call, hung_request, process_state, ...",
    )  # fmt: skip
    group.add_argument("--level", choices=LEVELS, default="", help="this or graver")
    group.add_argument(
        *("--worker",), default="", metavar="NAME",
        help="written by: nginx, supervise, a worker's number, or a process of the Procfile",
    )  # fmt: skip


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


def source(options: argparse.Namespace, stack: Stack) -> Source:
    """The log that the options name; else the stack's."""
    if not options.file:
        return stack()
    if any(str(path) == "-" for path in options.file):
        return StandardInput()
    return Files(tuple(options.file))


def _readable(text: str) -> Path:
    if text != "-":
        try:
            with Path(text).open("rb"):
                pass
        except OSError as error:
            raise argparse.ArgumentTypeError(f"cannot read {text}: {error.strerror}") from None
    return Path(text)
