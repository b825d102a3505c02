"""``python -P -m bascule_ops.control.runs ROOT``: ends with 0 where a local stack runs there."""

from __future__ import annotations

import sys
from pathlib import Path

from bascule_ops.control.local import LocalStack
from bascule_ops.control.project import Project


def runs(root: Path) -> bool:
    """Whether a project's stack runs in local mode, be it that of Bascule 0.1."""
    local = LocalStack(root, Project(root).load())
    return bool(local.pid() or local.pid_before())


if __name__ == "__main__":
    sys.exit(not runs(Path(sys.argv[1])))
