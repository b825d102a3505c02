"""The Python of local mode is that of the command; what to do where the project's is another."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from bascule_ops.program import named

_MISSING: Final = re.compile(r"No module named '(\w+)")
_USUAL: Final = (".venv", "venv", "env")  # where projects have their virtual environments
# What tells an environment that pipx, or uv tool, has made for one program alone.
_OF_ONE_PROGRAM: Final = ("pipx_metadata.json", "uv-receipt.toml")


def remedy(
    said: str, root: Path, environ: Mapping[str, str] = os.environ, prefix: Path = Path(sys.prefix)
) -> str:
    """What to do where the application's module is missing in this Python; empty where it is not.

    Args:
        said: why the application could not be loaded, by the server.
        root: the project's directory.
        environ: has ``VIRTUAL_ENV`` where one is active.
        prefix: of the environment of this Python.
    """
    missing = _MISSING.search(said)
    if missing is None or any(_has(root / place, missing[1]) for place in ("", "src")):
        return ""
    why = f"it runs with the Python of {prefix}, which has no {missing[1]}"
    for venv in _others(root, environ, prefix):
        command = f"{venv}/bin/basculectl up"
        if (venv / "bin" / "basculectl").exists():
            return f"{why}: {command} runs it with the project's"
        return f"{why}: install bascule into {venv} as well, then {command}"
    if any((prefix / each).exists() for each in _OF_ONE_PROGRAM):
        return (
            f"{why}: that environment is Bascule's own. Make one for the project, with its "
            "requirements and bascule in it (python3 -m venv .venv), then .venv/bin/basculectl up"
        )
    return f"{why}: install the project's requirements into it, then {named('up')}"


def _has(directory: Path, module: str) -> bool:
    return (directory / module).is_dir() or (directory / f"{module}.py").exists()


def _others(root: Path, environ: Mapping[str, str], prefix: Path) -> Iterator[Path]:
    """Virtual environments that may be the project's; the active one first."""
    active = environ.get("VIRTUAL_ENV")
    for venv in [*([Path(active)] if active else []), *(root / name for name in _USUAL)]:
        if (venv / "pyvenv.cfg").exists() and not venv.samefile(prefix):
            yield venv
