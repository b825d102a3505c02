"""Small files that are replaced as a whole."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Replace a file: whoever reads meanwhile sees all of the old one or of the new.

    Raises `OSError`, as on a full disk; then the old one is as it was, and nothing is left over.
    """
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
