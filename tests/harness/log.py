"""Reads a log whose lines are JSON."""

from __future__ import annotations

import json
from typing import Any


def lines(text: str, event: str = "") -> list[dict[str, Any]]:
    """Return the lines of JSON in a log, or those of one event; what else stands there is left out."""
    found = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [each for each in found if not event or each["event"] == event]
