"""``basculectl logs``: the log's lines, those that are asked for, or one request's story."""

from __future__ import annotations

import argparse
import re
import sys
from collections import deque
from collections.abc import Iterable

from bascule_ops.arguments import checked
from bascule_ops.errors import CommandError
from bascule_ops.logs import arguments, human, scan
from bascule_ops.logs.record import Record
from bascule_ops.logs.selection import Selection
from bascule_ops.logs.source import Source
from bascule_ops.logs.story import Story, told
from bascule_ops.text.colour import paint as painter
from bascule_ops.text.escape import visible_json

_LINES = 100  # shown where nothing says how many
# What our own ids and those that the link request_id takes over look like.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "-n",
        "--lines",
        type=checked(_count),
        metavar="N",
        help="the last N lines, or all (default: 100; with a filter: all)",
    )
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on with what is written from now on"
    )
    parser.add_argument(
        "--json", action="store_true", default=None, help="as logged, on a terminal, too"
    )
    parser.add_argument(
        "--text", action="store_false", dest="json", help="for a person, in a pipe, too"
    )
    parser.add_argument(
        "--request-id",
        type=checked(_request_id),
        metavar="ID",
        help="the story of one request, in the order of time, with everybody who had to do with "
        "it; its id is in X-Request-ID of the response, and on error pages",
    )
    arguments.add_log(parser)
    arguments.add_line_filters(arguments.add_filters(parser))


def run(options: argparse.Namespace, stack: arguments.Stack) -> int:
    """Show what the options ask for; return the exit status.

    Raises `CommandError` and, where the log cannot be read, `OSError`.
    """
    if options.request_id and options.follow:
        options.parser.error("--follow does not go with --request-id")
    if options.json is None:
        options.json = not sys.stdout.isatty()
    source = arguments.source(options, stack)
    return _tell(options, source) if options.request_id else _show(options, source)


def _request_id(text: str) -> str:
    if not _REQUEST_ID.fullmatch(text):
        raise ValueError(f'"{text}" is no request id: it is in X-Request-ID of the response')
    return text


def _count(text: str) -> int:
    if text == "all":
        return -1
    if not re.fullmatch(r"\d{1,9}", text):
        raise ValueError(f'"{text}" is no number of lines, nor all')
    return int(text)


def _tell(options: argparse.Namespace, source: Source) -> int:
    story = Story(options.request_id)
    story.read(source, options.since or "")
    entries = story.entries()
    if not entries:
        raise CommandError(f"no line of the log has the request id {options.request_id}")
    if options.json:
        _print_all(((entry.raw, entry.record) for entry in entries), options)
    else:
        print(told(options.request_id, entries, painter()))
    return 0


def _show(options: argparse.Namespace, source: Source) -> int:
    selection = arguments.selection(options)
    if options.follow:
        last = _LINES if options.lines is None else None if options.lines < 0 else options.lines
        _print_all(scan.chosen(source.follow(last), selection), options)
        return 0
    last = options.lines
    if last is None and selection.is_everything:
        last = _LINES
    _print_all(_found(source, selection, None if last is None or last < 0 else last), options)
    return 0


def _found(
    source: Source, selection: Selection, last: int | None
) -> Iterable[tuple[bytes, Record]]:
    if selection.is_everything and last is not None:
        found = scan.chosen(source.lines("", last), selection)
    else:
        found = scan.wanted(source, selection)
    if not source.is_ordered:
        return scan.in_order(found, last)
    return found if last is None else deque(found, maxlen=last)


def _print_all(found: Iterable[tuple[bytes, Record]], options: argparse.Namespace) -> None:
    paint = painter()
    is_terminal = sys.stdout.isatty()
    for raw, record in found:
        is_as_logged = raw.startswith(b"{") and record["event"] != "output"
        if not options.json:
            text = human.line(record, paint).encode("utf-8", "replace")
        elif is_as_logged and not is_terminal:
            text = raw
        else:
            text = visible_json(record).encode()
        sys.stdout.buffer.write(text + b"\n")
        if options.follow:
            sys.stdout.buffer.flush()
