"""Compiles the benchmark's own programs in C: the floor and the load."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


class MissingToolError(Exception):
    """A program that the benchmark needs is not on this machine; the message says the remedy."""


def require(program: str, package: str) -> str:
    """Return a program's path.

    Raises:
        MissingToolError: it is not there; names Debian's package.
    """
    found = shutil.which(program)
    if found is None:
        raise MissingToolError(
            f"needs {program}, which is not on the PATH: "
            f"install it (Debian: apt-get install {package})"
        )
    return found


def build(name: str, directory: Path) -> Path:
    """Compile ``name.c`` of this package into `directory` and return the program.

    Raises:
        MissingToolError: there is no compiler, or it refuses; the message has its words.
    """
    source = Path(__file__).with_name(f"{name}.c")
    program = directory / name
    done = subprocess.run(
        [
            require("cc", "gcc libc6-dev"),
            *("-O2", "-Wall", "-Wextra", "-o"),
            str(program),
            str(source),
            "-lm",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise MissingToolError(f"cc could not compile {source.name}: {done.stderr.strip()}")
    return program
