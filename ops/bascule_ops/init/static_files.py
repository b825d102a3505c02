"""The static files that nginx is to serve in the application's place."""

from __future__ import annotations

from dataclasses import dataclass

from bascule_ops.init import django_project
from bascule_ops.init.applications import Candidate
from bascule_ops.init.sources import Sources
from bascule_ops.static.source import COLLECTSTATIC


@dataclass(frozen=True, slots=True)
class StaticFiles:
    """Static files under ``/static/``.

    Attributes:
        named: what chain.toml names, a directory or `COLLECTSTATIC`; empty where there are none.
        settings: the module that Django's command reads, unless the environment names another.
    """

    named: str
    settings: str = ""

    @property
    def told(self) -> str:
        """What they are, in words."""
        return "what collectstatic collects" if self.named == COLLECTSTATIC else f"{self.named}/"


def find(sources: Sources, candidate: Candidate) -> StaticFiles:
    """What the application has."""
    if candidate.framework == "Django":
        return _of_django(sources)
    if candidate.has_own_static:
        return StaticFiles("")
    for home in (candidate.home, *candidate.home.parents):
        place = sources.root / home / "static"
        if place.is_dir() and any(place.iterdir()):
            return StaticFiles((home / "static").as_posix())
    return StaticFiles("")


def _of_django(sources: Sources) -> StaticFiles:
    project = django_project.find(sources)
    if project is None or not project.collects_static:
        return StaticFiles("")
    if project.static_url.strip("/") != "static":
        return StaticFiles("")
    return StaticFiles(COLLECTSTATIC, project.settings)
