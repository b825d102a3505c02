"""``basculectl requests``: which requests fail, which are slow, since when, and whose they are."""

from __future__ import annotations

import argparse
import json
from typing import Final

from bascule_ops.arguments import add_json, checked
from bascule_ops.logs import arguments, human, scan
from bascule_ops.logs.access import Requests
from bascule_ops.logs.groups import KEYS, Group, Groups
from bascule_ops.logs.moments import seconds, shown
from bascule_ops.logs.over_time import over_time
from bascule_ops.text.colour import paint as painter
from bascule_ops.text.escape import visible
from bascule_ops.text.table import table

_SINCE: Final = "1h"  # of a stack's log; a saved one is read whole
_TOP: Final = 20
_UNITS: Final = ("B", "kB", "MB", "GB", "TB")


def run(options: argparse.Namespace, stack: arguments.Stack) -> int:
    """Tell of the log that the options name; return the exit status. Raises `OSError`."""
    arguments.default_since(options, _SINCE)
    selection = arguments.selection(options)
    requests = Requests(selection)
    workers, nginx = Groups(options.by), Groups(options.by)
    for record in requests.read(scan.lines(arguments.source(options, stack), selection)):
        (nginx if requests.by_nginx else workers).add(record)
    groups = nginx if requests.by_nginx else workers
    told = _as_json if options.json else _as_text
    print(told(groups, options, "nginx" if requests.by_nginx else "the workers"))
    return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    arguments.add_log(parser, _SINCE)
    parser.add_argument(
        "--by",
        choices=tuple(KEYS),
        default="path",
        help="what is counted together; numbers and hashes in a path are {} (default: path)",
    )
    parser.add_argument(
        "--top", type=checked(_count), default=_TOP, metavar="N", help=f"rows (default: {_TOP})"
    )
    add_json(parser)
    arguments.add_filters(parser)


def _count(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise ValueError(f'"{text}" is no number of rows')
    return int(text)


def _as_json(groups: Groups, options: argparse.Namespace, source: str) -> str:
    total = {"since": options.since, "until": options.until, "lines_of": source, "by": options.by}
    ranked = [group.as_json() for group in groups.ranked()[: options.top]]
    return json.dumps(total | {"total": groups.total().as_json(), "groups": ranked}, indent=1)


def _as_text(groups: Groups, options: argparse.Namespace, source: str) -> str:
    total, paint = groups.total(), painter()
    if not total.count:
        return "No such request."
    begin, end = seconds(total.first), seconds(total.last)
    ranked = groups.ranked()
    rows = [_row(group, begin, end) for group in ranked[: options.top]]
    header = ["requests", "4xx", "5xx", "p50", "p95", "p99", "max", "sent", "first", "last"]
    header.append("over time")
    if total.server_errors:
        header.append("5xx over time")
    else:
        rows = [[*row[:-2], row[-1]] for row in rows]
    lines = table([[*header, options.by], *rows], right=range(len(header) - 2))
    colours = ["red" if g.server_errors else "yellow" if g.client_errors else "" for g in ranked]
    painted = [paint(colour, line) for colour, line in zip(colours, lines[1:], strict=False)]
    rest = len(ranked) - len(rows)
    return "\n".join(
        [
            f"{human.counted(total.count, 'request')}, {_share(total.server_errors, total)} 5xx, "
            f"{_share(total.client_errors, total)} 4xx, "
            f"{_moment(total.first)} to {_moment(total.last)} UTC (lines of {source})",
            paint("strong", lines[0]),
            *painted,
            *([f"and {rest} more: --top {len(ranked)}"] if rest else []),
        ]
    )


def _row(group: Group, begin: float, end: float) -> list[str]:
    times = [shown(value / 1000) for value in group.percentiles().values()]
    return [
        str(group.count),
        _share(group.client_errors, group),
        _share(group.server_errors, group),
        *times,
        _size(group.size),
        group.first[11:19],
        group.last[11:19],
        over_time(group.when, begin, end),
        over_time(group.errors_when, begin, end),
        visible(group.key),
    ]


def _share(part: int, group: Group) -> str:
    return f"{100 * part / group.count:.1f} %" if part else "-"


def _size(size: float) -> str:
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def _moment(time: str) -> str:
    return time[:19].replace("T", " ")
