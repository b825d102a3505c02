"""Compiles the benchmark's own programs in C: the floor and the load."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
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
    program = directory / name
    _compile(name, program, "-lm")
    return program


def build_extension(name: str, directory: Path) -> Path:
    """Compile ``name.c`` as an extension of this Python, unless it is there, and return it.

    Raises:
        MissingToolError: there is no compiler, or there are none of Python's headers.
    """
    extension = directory / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    if not extension.exists():
        headers = sysconfig.get_path("include")
        _compile(name, extension, "-shared", "-fPIC", f"-I{headers}")
    return extension


def _compile(name: str, into: Path, *options: str) -> None:
    source = Path(__file__).with_name(f"{name}.c")
    compiler = require("cc", "gcc libc6-dev")
    done = subprocess.run(
        [compiler, "-O2", "-Wall", "-Wextra", "-o", str(into), str(source), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise MissingToolError(f"cc could not compile {source.name}: {done.stderr.strip()}")
