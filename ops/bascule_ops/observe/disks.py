"""The file systems that a stack writes to: room, files left, and whether they may be written to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def read(written: tuple[Path, ...], beneath: tuple[Path, ...] = ()) -> list[dict[str, Any]]:
    """Each file system once.

    Args:
        written: directories that the stack writes to.
        beneath: others that have to have room: a container's engine writes below them.
    """
    found: dict[int, dict[str, Any]] = {}
    for path in (*written, *beneath):
        try:
            device = path.stat().st_dev
            room = os.statvfs(path)
        except OSError:
            continue  # that it is missing is another check's to tell
        if device not in found:
            found[device] = {
                "path": str(path),
                "free_bytes": room.f_bavail * room.f_frsize,
                "total_bytes": room.f_blocks * room.f_frsize,
                # 0 of 0 where the file system has no such limit.
                "free_files": room.f_favail,
                "total_files": room.f_files,
                "read_only": path in written and bool(room.f_flag & os.ST_RDONLY),
            }
    return list(found.values())


def written_by(run_dir: Path, supervisor_dir: Path, nginx_dir: Path | None) -> tuple[Path, ...]:
    """Where a stack writes.

    Args:
        run_dir: the workers' sockets and counters; in local mode the log.
        supervisor_dir: supervisord's own.
        nginx_dir: nginx's uploads and configuration, where nginx runs beside the workers.
    """
    # Not tempfile's: it tries each place by writing, and fails where all are full.
    temporary = Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 (it is looked at only)
    nginx = (nginx_dir,) if nginx_dir else ()
    return (run_dir, supervisor_dir, temporary, *nginx)


def code() -> Path:
    """Where Bascule itself lies."""
    return Path(__file__).parents[2]
