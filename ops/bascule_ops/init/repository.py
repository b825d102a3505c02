"""What stands in a repository already, and stays as it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bascule_ops import procfile
from bascule_ops.errors import Refused

# In the order in which compose looks for them.
COMPOSE_FILES: Final = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
# The one of a name that it reads as well.
OVERRIDES: Final = {
    "compose.yaml": "compose.override.yaml",
    "compose.yml": "compose.override.yml",
    "docker-compose.yml": "docker-compose.override.yml",
    "docker-compose.yaml": "docker-compose.override.yaml",
}
MARK: Final = "Written by basculectl init"
# What ours are called; of theirs, one of the same name would be merged with it.
SERVICES: Final = ("nginx", "server", "server-base")
_TOP: Final = re.compile(
    r"^services:[ \t]*(?:#.*)?\n((?:[ \t]+.*\n|[ \t]*(?:#.*)?\n)*)", re.MULTILINE
)
_KEY: Final = re.compile(r"""^([ \t]+)["']?([\w.-]+)["']?:""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository, before anything is written to it.

    Attributes:
        root: where it is.
        compose_file: theirs; empty where none is.
        has_dockerfile: whether a Dockerfile is.
        ours: names of files that `basculectl init` has written, beside theirs.
    """

    root: Path
    compose_file: str
    has_dockerfile: bool
    ours: tuple[str, ...]

    @property
    def our_compose_file(self) -> str:
        """What ours is to be called, so that compose reads theirs as well."""
        return OVERRIDES.get(self.compose_file, "compose.yaml")

    @property
    def our_dockerfile(self) -> str:
        """What ours is to be called."""
        return "Dockerfile.bascule" if self.has_dockerfile else "Dockerfile"


def look(root: Path) -> Repository:
    """See what is there. Raises `Refused` where it leaves no place for ours."""
    names = (*COMPOSE_FILES, *OVERRIDES.values(), "Dockerfile", "Dockerfile.bascule")
    ours = tuple(name for name in names if _is_ours(root / name))
    theirs = [name for name in names if name not in ours and (root / name).exists()]
    compose_file = next((name for name in COMPOSE_FILES if name in theirs), "")
    if compose_file:
        _check_compose(root, compose_file, [each for each in OVERRIDES.values() if each in theirs])
    return Repository(root, compose_file, "Dockerfile" in theirs, ours)


def _is_ours(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            return MARK in lines.readline()
    except OSError:
        return False


def _check_compose(root: Path, name: str, overrides: list[str]) -> None:
    """Raise `Refused` where ours cannot stand beside theirs."""
    for other in overrides:
        raise Refused(
            f"{other} is there already, and compose reads one such file: merge it into {name}, "
            "or give it another name, and call this again"
        )
    text = (root / name).read_text(encoding="utf-8", errors="replace")
    if taken := [each for each in services(text) if each in SERVICES]:
        raise Refused(
            f"{name} has a service called {taken[0]}, as one of Bascule's is: give it another "
            "name, and call this again"
        )


def of_procfile(repository: Repository) -> tuple[list[str], list[str]]:
    """The names in its Procfile that ours get services for, and those that theirs has already.

    Raises `CommandError` for a file with an error, and `Refused` for a name that ours have.
    """
    entries = procfile.read(repository.root)
    names = [name for name in entries if name != procfile.WEB]
    for name in names:
        if name in (*SERVICES, "dev"):
            raise Refused(
                f"{procfile.FILE}: {name} is what one of Bascule's own services is called: give it "
                "another name, and call this again"
            )
    text = ""
    if repository.compose_file:
        path = repository.root / repository.compose_file
        text = path.read_text(encoding="utf-8", errors="replace")
    theirs = services(text)
    return [n for n in names if n not in theirs], [n for n in names if n in theirs]


def services(text: str) -> list[str]:
    """The names of a compose file's services, as far as they stand in lines of their own."""
    block = _TOP.search(f"{text}\n")
    if block is None:
        return []
    found = _KEY.findall(block[1])
    return [name for indent, name in found if indent == found[0][0]]
