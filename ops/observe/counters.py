"""The workers' counters, from the memory that they share."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def read(path: Path) -> dict[str, dict[str, Any]]:
    """The counters of each worker by its name, as they stand in a snapshot."""
    del path
    return {}
