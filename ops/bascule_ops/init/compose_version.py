"""What the docker compose of this machine can do."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Final

LIMIT: Final = 10.0  # seconds for it to say its version
# From then on its images are built all at once, by bake, in the order of their contexts.
CONTEXTS_FROM: Final = (2, 37)


def names_contexts() -> bool:
    """Whether a build may be told to wait for another service's image, as a named context."""
    if not shutil.which("docker"):
        return True
    command = ("docker", "compose", "version", "--short")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)
    version = re.match(r"v?(\d+)\.(\d+)", done.stdout)
    return version is None or (int(version[1]), int(version[2])) >= CONTEXTS_FROM
