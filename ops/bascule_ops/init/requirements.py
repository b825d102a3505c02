"""What a repository says that it needs, and how an image is given that."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_FILES: Final = (
    "requirements.txt",
    *(f"requirements/{name}.txt" for name in ("production", "prod", "base", "requirements")),
)
_INCLUDE: Final = re.compile(r"(?:-r|-c|--requirement|--constraint)[ =]?\s*(\S+)")
_LOCAL: Final = re.compile(r"(?:-e|--editable)[ =]?\s*(?!\w+\+)|\.{0,2}/|\.(?:\[|$)|file:")
_LOCKED: Final = "/opt/locked.txt"
_PIP: Final = "/opt/bascule/venv/bin/pip install --no-cache-dir"
_LISTED: Final = (
    "python3 -c 'import tomllib; "
    'print(*tomllib.load(open("pyproject.toml", "rb"))["project"].get("dependencies", []), '
    f'sep="\\n")\' >{_LOCKED}'
)


@dataclass(frozen=True, slots=True)
class Requirements:
    """How the project's requirements are installed.

    Attributes:
        told: the file that has them; empty where there is none.
        files: what is copied into the image first, so that a change of the code alone installs
            nothing again.
        commands: what is run then, in the directory with those files.
        needs_all: they are known with the whole project only, which is copied in place of `files`.
    """

    told: str
    files: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    needs_all: bool = False


def find(root: Path) -> Requirements:
    """What the repository's files say; a lock goes before what it was made from."""
    project = _pyproject(root)
    if (root / "uv.lock").is_file() and project:
        export = "uv export --frozen --no-dev --no-emit-project --output-file"
        return _by_tool("pyproject.toml", "uv.lock", "uv", export)
    if (root / "poetry.lock").is_file() and project:
        packages, export = "poetry poetry-plugin-export", "poetry export --output"
        return _by_tool("pyproject.toml", "poetry.lock", packages, export)
    if (root / "Pipfile.lock").is_file() and (root / "Pipfile").is_file():
        export = "pipenv requirements --exclude-index >"
        return _by_tool("Pipfile", "Pipfile.lock", "pipenv", export)
    if name := next((each for each in _FILES if (root / each).is_file()), None):
        return _of_file(root, name)
    if project.get("project", {}).get("dependencies"):
        install = f"{_PIP} --requirement {_LOCKED}"
        return Requirements("pyproject.toml", ("pyproject.toml",), (_LISTED, install))
    names = [each for each in ("setup.py", "setup.cfg") if (root / each).is_file()]
    names += ["pyproject.toml"] if "build-system" in project else []
    return (
        Requirements(names[0], commands=(f"{_PIP} .",), needs_all=True)
        if names
        else Requirements("")
    )


def _pyproject(root: Path) -> dict[str, Any]:
    try:
        return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _by_tool(project: str, lock: str, packages: str, export: str) -> Requirements:
    """What a lock has, by way of the tool that wrote it, which stays behind."""
    tool, _, rest = export.partition(" ")
    commands = (
        f"python3 -m venv /opt/tool && /opt/tool/bin/pip install --no-cache-dir {packages}",
        f"/opt/tool/bin/{tool} {rest} {_LOCKED}",
        f"{_PIP} --requirement {_LOCKED}",
    )
    return Requirements(lock, (project, lock), commands)


def _of_file(root: Path, name: str) -> Requirements:
    """A file for pip, and what it includes."""
    files: dict[str, None] = {}
    needs_all = _read_file(root, name, files)
    command = (f"{_PIP} --requirement {name}",)
    return Requirements(name, () if needs_all else tuple(files), command, needs_all)


def _read_file(root: Path, name: str, files: dict[str, None]) -> bool:
    """Add a file and those that it includes; whether one of them needs the project itself."""
    if name in files or not (root / name).is_file():
        return False
    files[name] = None
    needs_all = False
    for line in _lines(root / name):
        if include := _INCLUDE.match(line):
            inner = os.path.normpath(Path(name).parent / include[1])
            needs_all |= inner.startswith("..") or _read_file(root, inner, files)
        elif _LOCAL.match(line):
            needs_all = True
    return needs_all


def _lines(path: Path) -> Iterator[str]:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        yield line.partition(" #")[0].strip()
