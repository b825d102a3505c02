"""What an application keeps in files of its own: in containers that goes to a volume."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from bascule_ops.errors import Refused
from bascule_ops.init import django_project
from bascule_ops.init.applications import Candidate
from bascule_ops.init.sources import Module, Sources

PLACE = "/data"  # where the volume is mounted
MEDIA = "/var/lib/bascule/media"  # and the one that nginx serves


def find(sources: Sources, candidate: Candidate, named: Sequence[str]) -> list[str]:
    """Paths in the project, beside those `named`; a directory's ends in a slash.

    What `media` has is none of them. Raises `Refused` where one that is named is not in the
    project.
    """
    for each in named:
        if not _is_inside(each):
            raise Refused(f'--data is "{each}": name a file or DIRECTORY/ inside the project')
    if candidate.framework == "Django" and (project := django_project.find(sources)):
        found = _of_django(project.modules)
    else:
        found = _of_flask(sources, candidate)
    inside = {each for each in found if _is_inside(each)}
    return sorted({*named, *(inside - {media(sources, candidate, named)})})


def media(sources: Sources, candidate: Candidate, named: Sequence[str]) -> str:
    """Where the application puts what nginx is to serve under /media/.

    A path as those of `find`; empty where there is none, or where it is data by name.
    """
    project = django_project.find(sources) if candidate.framework == "Django" else None
    if project and project.media_url.strip("/") == "media":
        found = next(filter(_is_inside, _media_roots(project.modules)), "")
        return "" if found in named else found
    return ""


def linked(dockerfile: Path) -> list[str]:
    """What a Dockerfile of ours has in the volume, for a newer version to leave it there."""
    try:
        text = dockerfile.read_text(encoding="utf-8")
    except OSError:
        return []
    found = re.findall(rf"ln -s {PLACE}/(\S+) ", text)
    return [f"{each}/" if f"{PLACE}/{each}/" in text else each for each in found]


def _of_django(modules: tuple[Module, ...]) -> Iterator[str]:
    """SQLite's files, and MEDIA_ROOT."""
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Dict):
                values = {
                    key.value: value
                    for key, value in zip(node.keys, node.values, strict=True)
                    if isinstance(key, ast.Constant)
                }
                if _text(values.get("ENGINE")).endswith(".sqlite3"):
                    yield _text(values.get("NAME"))
    yield from _media_roots(modules)


def _media_roots(modules: tuple[Module, ...]) -> Iterator[str]:
    for module in modules:
        for bound in module.bindings.get("MEDIA_ROOT", []):
            if isinstance(bound, ast.expr) and (path := _text(bound).rstrip("/")):
                yield f"{path}/"


def _of_flask(sources: Sources, candidate: Candidate) -> Iterator[str]:
    """The instance directory, where it is used: beside the package, or the module."""
    nodes = (node for module in sources.modules.values() for node in ast.walk(module.tree))
    names = {getattr(node, "attr", None) or getattr(node, "arg", None) for node in nodes}
    used = names & {"instance_path", "open_instance_resource", "instance_relative_config"}
    if candidate.framework == "Flask" and used:
        top = candidate.home
        while (sources.root / top / "__init__.py").exists():
            top = top.parent
        yield f"{(top / 'instance').as_posix()}/"


def _text(node: ast.expr | None) -> str:
    """A path that is written out, after a directory that has a name: ``BASE_DIR / "a" / "b"``."""
    if node is None:
        return ""
    constants = [each for each in ast.walk(node) if isinstance(each, ast.Constant)]
    constants.sort(key=lambda each: (each.lineno, each.col_offset))
    return "/".join(each.value for each in constants if isinstance(each.value, str))


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and parts[0] != "/" and ".." not in parts and ":" not in path
