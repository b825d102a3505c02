"""The memory that the kernel lets a stack have: its control group's, and who was killed for it.

Version 2 (https://docs.kernel.org/admin-guide/cgroup-v2.html) and version 1
(https://docs.kernel.org/admin-guide/cgroup-v1/memory.html) have the same figures in other files. A
limit of any group above counts as well: the one with the least room is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path("/sys/fs/cgroup")
# Version 1 writes "no limit" as the largest number of pages.
UNLIMITED: Final = 1 << 60  # bytes


class _Version(NamedTuple):
    """Where a version has its figures."""

    usage: str
    limit: str
    kills: str
    cache: str  # of memory.stat: pages of files, which the kernel takes back first


_V2: Final = _Version("memory.current", "memory.max", "memory.events", "inactive_file")
_V1: Final = _Version(
    "memory.usage_in_bytes",
    "memory.limit_in_bytes",
    "memory.oom_control",
    "total_inactive_file",
)


def read(pid: int, root: Path = ROOT, processes: Path = Path("/proc")) -> dict[str, Any] | None:
    """Memory of the group that a process is in; None where the kernel counts none.

    Args:
        pid: of the process.
        root: where the groups are mounted.
        processes: where the processes are.

    Raises `OSError` where they cannot be read.
    """
    version, top = (_V2, root) if (root / "cgroup.controllers").exists() else (_V1, root / "memory")
    groups = [group for group in _groups(pid, version, top, processes) if _has(group, version)]
    if not groups:
        return None
    found = [_figures(group, version) for group in groups]
    limited = [each for each in found if each["limit_bytes"] is not None]
    tightest = min(limited, key=lambda each: each["limit_bytes"] - each["used_bytes"], default=None)
    # Who was killed in the process's own group: those above count others' as well.
    return {**(tightest or found[0]), "oom_kills": found[0]["oom_kills"]}


def _groups(pid: int, version: _Version, top: Path, processes: Path) -> Iterator[Path]:
    """The process's group, then those above it."""
    path = ""
    for line in (processes / str(pid) / "cgroup").read_text().splitlines():
        _, controllers, name = line.split(":", 2)
        if not controllers if version is _V2 else "memory" in controllers.split(","):
            path = name.strip("/")
    group = top / path
    # In a container the names are those of the machine; the group itself is mounted as the top.
    while path and not group.is_dir():
        path = path.partition("/")[2]
        group = top / path
    yield group
    while group != top:
        group = group.parent
        yield group


def _has(group: Path, version: _Version) -> bool:
    return (group / version.usage).exists()


def _figures(group: Path, version: _Version) -> dict[str, Any]:
    limit = (group / version.limit).read_text().strip() if (group / version.limit).exists() else ""
    most = int(limit) if limit.isdigit() else UNLIMITED
    cache = _named(group / "memory.stat", version.cache) or 0
    used = int((group / version.usage).read_text())
    return {
        "used_bytes": max(0, used - cache),
        "limit_bytes": most if most < UNLIMITED else None,
        "oom_kills": _named(group / version.kills, "oom_kill"),
    }


def _named(file: Path, name: str) -> int | None:
    """A number by its name in a file of ``name number`` lines; None where it is not there."""
    if not file.exists():
        return None
    for line in file.read_text().splitlines():
        key, _, number = line.partition(" ")
        if key == name:
            return int(number)
    return None
