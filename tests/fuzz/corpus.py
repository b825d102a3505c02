"""The committed streams: those that have shown something, and some that are worth changing."""

from __future__ import annotations

import ast
from pathlib import Path

STREAMS = Path(__file__).with_name("corpus") / "streams.txt"


def streams() -> dict[str, bytes]:
    """Return the committed streams by their names, which stand in comments above them."""
    named: dict[str, bytes] = {}
    name = ""
    for line in STREAMS.read_text(encoding="ascii").splitlines():
        if line.startswith("#"):
            name = line.removeprefix("#").strip()
        elif line:
            if name in named:
                raise ValueError(f"two streams are called {name!r}")
            named[name] = ast.literal_eval(line)
    return named
