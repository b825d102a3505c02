"""A copy of the tree in which a module may be changed, with an environment that finds it there."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.harness.processes import ROOT

PACKAGE: Final = Path("server/bascule")
SOURCES: Final = ("server", "middleware", "ops")


@dataclass(frozen=True)
class Copy:
    """A copy of the tree.

    Attributes:
        root: its top directory.
        python: the interpreter whose environment has the copy's packages.
        scratch: an empty directory with a short path, for what the tests leave behind.
    """

    root: Path
    python: Path
    scratch: Path

    @property
    def package(self) -> Path:
        """Where the package is."""
        return self.root / PACKAGE

    def environment(self, before: dict[str, str]) -> dict[str, str]:
        """Return what a process of the copy has in its environment."""
        kept = {name: value for name, value in before.items() if name != "PYTHONPATH"}
        # A change of the same length within the same second is a change all the same.
        return {**kept, "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(self.scratch)}

    def write(self, module: str, text: str) -> None:
        """Change a module."""
        (self.package / module).write_text(text)


@contextmanager
def copied() -> Iterator[Copy]:
    """Copy what git has and would have of the tree, for as long as the block lasts."""
    top = Path(tempfile.mkdtemp(prefix="mut-"))
    try:
        root, scratch = top / "tree", top / "t"
        scratch.mkdir()
        for name in _files():
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target, follow_symlinks=False)
        yield Copy(root, _environment(root), scratch)
    finally:
        shutil.rmtree(top, ignore_errors=True)


def _files() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


def _environment(root: Path) -> Path:
    """Make a virtual environment that has this one's packages, but the project's from the copy."""
    where = root / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", where], check=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(where)}))
    paths = [*(str(root / each) for each in SOURCES), sysconfig.get_path("purelib")]
    shutil.copy(root / "tests/mutation/traced.py", packages / "traced_lines.py")
    (packages / "copy.pth").write_text("\n".join([*paths, "import traced_lines", ""]))
    return where / "bin/python"
