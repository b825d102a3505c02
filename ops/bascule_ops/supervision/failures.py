"""The latest unexpected ends of supervised processes, remembered in a file.

supervisord forgets how a process ended as soon as it has started it again.
`process_events` writes the file; whoever wants to know why a worker came back reads it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final, TypedDict

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
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def add(directory: Path, process: str, failure: Failure) -> None:
    """Remember one more. Whoever reads meanwhile sees all of the old file or of the new."""
    known = read(directory)
    known[process] = [*known.get(process, []), failure][-KEPT:]
    new = directory / f".{FILE}.{os.getpid()}"
    new.write_text(json.dumps(known), encoding="utf-8")
    new.replace(directory / FILE)
