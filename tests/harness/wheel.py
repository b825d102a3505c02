"""The wheel, built from this checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.harness.processes import ROOT


def build(place: Path) -> Path:
    """Build it in a directory, from a copy; return where it is."""
    source = place / "source"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "docs", "tests")
    shutil.copytree(ROOT, source, symlinks=True, ignore=ignored)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
    done = subprocess.run(
        [*command, "--outdir", place / "dist", source],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (place / "dist").glob("bascule-*.whl")
    return wheel
