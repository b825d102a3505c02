"""``basculectl slow``: where the application blocks, by samples of slow calls and by hung calls.

A worker samples at most one slow call a second (event ``slow_call``), and logs every call that it
gave up (``hung_request``): the shares say where time goes, and the counts are no counts of calls.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

from bascule_ops.arguments import add_json
from bascule_ops.logs import arguments, flame_graph, scan, trace
from bascule_ops.logs.groups import route
from bascule_ops.logs.record import Record
from bascule_ops.logs.selection import path_of
from bascule_ops.text.colour import paint as painter
from bascule_ops.text.escape import visible
from bascule_ops.text.table import table

_SINCE: Final = "1h"  # of a stack's log; a saved one is read whole
_PATHS: Final = 3  # paths named for each location
_TOP: Final = 20  # locations shown to a person


class Location:
    """A line of the application in which calls were found to wait."""

    def __init__(self) -> None:
        self.slow = self.hung = 0
        self.paths: Counter[str] = Counter()
        self.last = self.request_id = ""

    def add(self, record: Record) -> None:
        """Count a sample."""
        if record["event"] == "hung_request":
            self.hung += 1
        else:
            self.slow += 1
        if path := path_of(record):
            self.paths[route(path)] += 1
        if record["time"] >= self.last:
            self.last = record["time"]
            self.request_id = str(record.get("request_id") or "")

    @property
    def count(self) -> int:
        """How many samples there are."""
        return self.slow + self.hung

    def as_json(self, name: str, total: int) -> dict[str, Any]:
        """The location as a mapping."""
        return {
            "location": name,
            "samples": self.count,
            "share": round(self.count / total, 6),
            "slow_calls": self.slow,
            "hung_requests": self.hung,
            "paths": dict(self.paths.most_common(_PATHS)),
            "last": self.last,
            "last_request_id": self.request_id,
        }


def run(options: argparse.Namespace, stack: arguments.Stack) -> int:
    """Tell of the log that the options name; return the exit status. Raises `OSError`."""
    options.event = "slow_call,hung_request"
    arguments.default_since(options, _SINCE)
    locations: dict[str, Location] = {}
    stacks: Counter[tuple[str, ...]] = Counter()
    source = arguments.source(options, stack)
    for _, record in scan.wanted(source, arguments.selection(options)):
        frames = _frames(record)
        name = str(record.get("location") or trace.location(frames) or "(not known)")
        locations.setdefault(name, Location()).add(record)
        stacks[tuple(trace.inner(frames))] += 1
    if options.flame_graph:
        _write(options.flame_graph, flame_graph.svg(stacks, "Where calls wait"))
        if options.flame_graph == "-":
            return 0
    print(_as_json(locations, options) if options.json else _as_text(locations))
    return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    arguments.add_log(parser, _SINCE)
    arguments.add_path(parser)
    parser.add_argument(
        "--flame-graph",
        metavar="FILE",
        help="also draw the stacks, as an SVG for a browser; - is standard output, with nothing "
        "else",
    )
    add_json(parser)


def _frames(record: Record) -> list[str]:
    if record["event"] == "hung_request":
        return trace.frames(str(record.get("stack", "")))
    frames = record.get("frames")
    return list(map(str, frames)) if isinstance(frames, list) else []


def _write(path: str, text: str) -> None:
    if path == "-":
        sys.stdout.write(text)
    else:
        Path(path).write_text(text, encoding="utf-8")


def _ranked(locations: dict[str, Location]) -> list[tuple[str, Location]]:
    return sorted(locations.items(), key=lambda item: item[1].count, reverse=True)


def _as_json(locations: dict[str, Location], options: argparse.Namespace) -> str:
    total = sum(location.count for location in locations.values())
    ranked = [location.as_json(name, total) for name, location in _ranked(locations)]
    told = {"since": options.since, "until": options.until, "samples": total}
    return json.dumps(told | {"locations": ranked}, indent=1)


def _as_text(locations: dict[str, Location]) -> str:
    total = sum(location.count for location in locations.values())
    if not total:
        return "No call was slow, and none hung."
    rows = []
    for name, location in _ranked(locations)[:_TOP]:
        share = f"{100 * location.count / total:.1f} %"
        paths = ", ".join(path for path, _ in location.paths.most_common(_PATHS))
        last = f"{location.last[11:19]} {location.request_id}"
        texts = [str(location.count), share, str(location.hung or "-"), name, paths, last]
        rows.append([visible(text) for text in texts])
    header = ["samples", "share", "hung", "location", "paths", "last"]
    lines = table([header, *rows], right=range(3))
    return "\n".join([painter()("strong", lines[0]), *lines[1:]])
