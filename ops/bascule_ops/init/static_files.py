"""The static files that nginx is to serve in the application's place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bascule_ops.init import django_project
from bascule_ops.init.applications import Candidate
from bascule_ops.init.sources import Sources

# Where they are in the image before nginx has them, and the command that puts them there.
PLACE: Final = "/opt/bascule/static"


@dataclass(frozen=True, slots=True)
class StaticFiles:
    """Static files under ``/static/``.

    Attributes:
        told: what they are, in words; empty where there are none.
        command: what puts them into `PLACE`, in the project's directory.
        settings: the module that Django's command reads, unless the environment names another.
    """

    told: str
    command: str = ""
    settings: str = ""


def find(sources: Sources, candidate: Candidate) -> StaticFiles:
    """What the application has."""
    if candidate.framework == "Django":
        return _of_django(sources)
    if candidate.has_own_static:
        return StaticFiles("")
    for home in (candidate.home, *candidate.home.parents):
        place = sources.root / home / "static"
        if place.is_dir() and any(place.iterdir()):
            path = (home / "static").as_posix()
            return StaticFiles(f"{path}/", f"cp -R '{path}' {PLACE}")
    return StaticFiles("")


def _of_django(sources: Sources) -> StaticFiles:
    project = django_project.find(sources)
    if project is None or not project.collects_static:
        return StaticFiles("")
    if project.static_url.strip("/") != "static":
        return StaticFiles("")
    command = f"python3 -m bascule_ops.init.collect_static {PLACE}"
    return StaticFiles("collectstatic, when the image is built", command, project.settings)
