"""The status page's own files: few, known by their types, and from one directory only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DIRECTORY: Final = Path(__file__).parent / "static"
TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
}
# No segment begins with a dot, so none leads out or to a hidden file.
NAME: Final = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9_.-]*/)*[A-Za-z0-9_-][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file's bytes, its media type, and a validator that changes when it does."""

    content: bytes
    media_type: str
    etag: str


def find(name: str, directory: Path) -> StaticFile | None:
    """The file with that name below `directory`; None where there is none to be served."""
    path = directory / name
    media_type = TYPES.get(path.suffix)
    if media_type is None or not NAME.fullmatch(name) or path.is_symlink():
        return None
    try:
        content = path.read_bytes()
        stat = path.stat()
    except OSError:
        return None
    return StaticFile(content, media_type, f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"')
