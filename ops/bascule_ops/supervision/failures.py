"""The latest unexpected ends of supervised processes, remembered in a file.

supervisord forgets how a process ended as soon as it has started it again.
`process_events` writes the file; whoever wants to know why a worker came back reads it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, TypedDict

from bascule_ops import atomic

FILE: Final = "failures.json"
KEPT: Final = 10  # ends of each process
RECENT: Final = 300.0  # seconds; who ended several times within these ends again and again


class Failure(TypedDict):
    """When a process ended (seconds since the epoch), and what it said last."""

    time: float
    words: str


def read(directory: Path) -> dict[str, list[Failure]]:
    """The latest ends by the process's name, oldest first; empty where nothing ended."""
    try:
        found = json.loads((directory / FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def add(directory: Path, process: str, failure: Failure) -> None:
    """Remember one more. Raises `OSError`; then what was known stays."""
    known = read(directory)
    known[process] = [*known.get(process, []), failure][-KEPT:]
    atomic.write(directory / FILE, json.dumps(known))
