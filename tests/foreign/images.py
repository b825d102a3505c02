"""Base images that a Dockerfile of theirs names, where no registry answers."""

from __future__ import annotations

import subprocess
from typing import Final

LIMIT: Final = 300.0
# Debian's Python under the names that the official image has.
STAND_IN: Final = """\
FROM debian:trixie-slim
RUN apt-get update \\
    && apt-get install --yes --no-install-recommends python3 python3-venv python3-pip \\
    && rm -rf /var/lib/apt/lists/* /usr/lib/python3*/EXTERNALLY-MANAGED \\
    && ln -s python3 /usr/bin/python
"""


def ensure(name: str) -> None:
    """Have the engine know an image ``python:...``; a stand-in where it cannot be fetched."""
    if _run("docker", "image", "inspect", name) and _run("docker", "pull", "--quiet", name):
        assert not _run("docker", "build", "--quiet", "--tag", name, "-", text=STAND_IN), name


def _run(*command: str, text: str = "") -> int:
    return subprocess.run(
        command, input=text, text=True, capture_output=True, check=False, timeout=LIMIT
    ).returncode
