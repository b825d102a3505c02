"""How long workers may take from their start until they serve."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

MARGIN: Final = 15.0  # seconds that who waits gives whoever ends a start that takes too long
# Exit statuses of a worker (bascule.command): a setting is wrong; its application cannot be loaded;
# it may be, later.
WRONG_SETTING: Final = 2
CANNOT_LOAD: Final = 4
CANNOT_LOAD_YET: Final = 75
AGAIN: Final = "trying again for"  # how supervisord's word of a worker begins that may load yet


def limit(start_timeout: float, took: float) -> float:
    """Seconds to wait for workers that took so many the last time."""
    return max(start_timeout, 1.5 * took) + MARGIN


def took(run_dir: Path) -> float:
    """Seconds that the slowest of those that serve took from its start until it served.

    A worker binds its socket before it loads its application, and renames it when it serves: by
    that the inode changes (inode(7)).
    """
    found = [0.0]
    for path in run_dir.glob("worker-*.sock"):
        with suppress(OSError):
            status = path.stat()
            found.append(status.st_ctime - status.st_mtime)
    return max(found)
