"""``basculectl list``: the stacks of this machine."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from bascule_ops.arguments import add_json
from bascule_ops.control import machine
from bascule_ops.control.containers import EngineSilentError, are_inside
from bascule_ops.control.machine import Found
from bascule_ops.control.output import say, warn
from bascule_ops.control.project import Project
from bascule_ops.errors import CommandError
from bascule_ops.program import named
from bascule_ops.text import units
from bascule_ops.text.table import table

HELP: Final = "show all stacks of this machine"
DESCRIPTION: Final = """\
Shows every stack of Bascule on this machine, of whatever project: its directory, whether it runs in
local mode or in containers, its address, how it is, and since when. Of another user's stack in
local mode there is no more to be seen than that it runs."""
EPILOG: Final = """\
Exit status 0: these are all. 1: the container engine does not answer, or nothing is to be seen from
here. 2: wrong call."""
_MODES: Final = {"local": "local", "docker": "containers"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_json(parser)


def run(options: argparse.Namespace, _project: Project) -> int:
    """Print them; return the exit status."""
    if are_inside():
        raise CommandError("from within a container no other stack is to be seen: call it outside")
    silent = ""
    try:
        found = machine.stacks()
    except EngineSilentError as error:
        found, silent = sorted(machine.local(), key=lambda each: each.directory), str(error)
    if options.json:
        say(json.dumps({"stacks": [_document(each) for each in found], "silent": silent or None}))
    elif found:
        now = time.time()
        rows: list[Sequence[str]] = [("DIRECTORY", "MODE", "ADDRESS", "STATE", "FOR")]
        rows += [_row(each, now) for each in found]
        say("\n".join(table(rows, right=(4,))))
        for each in found:
            if each.remedy:
                say(f"{each.directory}: {each.remedy}")
    elif not silent:
        say("No stack is on this machine.")
    if silent:
        warn(f"{named('list')}: {silent}")
    return 1 if silent else 0


def _row(found: Found, now: float) -> Sequence[str]:
    since = "-" if found.since is None else units.duration(max(0.0, now - found.since))
    return (found.directory or "-", _MODES[found.mode], found.url or "-", found.state, since)


def _document(found: Found) -> dict[str, Any]:
    since = found.since
    moment = None if since is None else f"{datetime.fromtimestamp(since, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return {
        "directory": found.directory or None,
        "mode": found.mode,
        "url": found.url or None,
        "state": found.state,
        "since": moment,
        "remedy": found.remedy or None,
    }
