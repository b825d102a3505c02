"""What a Django project's files say: read, and never run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bascule_ops.init.sources import Module, Sources, read

SETTINGS: Final = "DJANGO_SETTINGS_MODULE"


@dataclass(frozen=True, slots=True)
class DjangoProject:
    """A Django project.

    Attributes:
        settings: the module that the module for servers names, else manage.py.
        wsgi_module, wsgi_callable: what WSGI_APPLICATION names.
        collects_static: whether `collectstatic` is one of its commands.
        static_url, media_url: what the settings say; empty where that is not written out.
        modules: all that the settings are in.
    """

    settings: str
    wsgi_module: str
    wsgi_callable: str
    collects_static: bool
    static_url: str
    media_url: str
    modules: tuple[Module, ...]


def find(sources: Sources) -> DjangoProject | None:
    """The project whose manage.py is at the repository's top."""
    manage = read(sources.root, sources.root, sources.root / "manage.py")
    settings = manage and _settings(manage)
    if not settings:
        return None
    modules = list(_with_star_imports(sources, settings, set()))
    application = _constant(modules, "WSGI_APPLICATION")
    module, _, name = application.rpartition(".")
    if module not in sources.modules:
        module, name = f"{settings.partition('.')[0]}.wsgi", "application"
        if module not in sources.modules:
            return None
    # What is served may have other settings than what manage.py does on a developer's machine.
    if (served := _settings(sources.modules[module]) or settings) != settings:
        settings, modules = served, list(_with_star_imports(sources, served, set()))
    installed = [
        node.value
        for each in modules
        for node in ast.walk(each.tree)
        if isinstance(node, ast.Constant)
    ]
    return DjangoProject(
        *(settings, module, name),
        collects_static="django.contrib.staticfiles" in installed,
        static_url=_constant(modules, "STATIC_URL"),
        media_url=_constant(modules, "MEDIA_URL"),
        modules=tuple(modules),
    )


def _settings(manage: Module) -> str:
    """The settings that a module names first."""
    for node in ast.walk(manage.tree):
        match node:
            case ast.Call(args=[ast.Constant(value=name), ast.Constant(value=str(value))]):
                if name == SETTINGS:
                    return value
            case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=name))]):
                if name == SETTINGS and isinstance(node.value, ast.Constant):
                    return str(node.value.value)
    return ""


def _with_star_imports(sources: Sources, name: str, seen: set[str]) -> Iterator[Module]:
    """A module of settings, and those that it takes everything of."""
    module = sources.modules.get(name)
    if module is None or name in seen:
        return
    seen.add(name)
    yield module
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and [each.name for each in node.names] == ["*"]:
            yield from _with_star_imports(sources, module.imported_from(node), seen)


def _constant(modules: list[Module], name: str) -> str:
    """The text that a setting is; empty where it is not written out."""
    for module in modules:
        for bound in reversed(module.bindings.get(name, [])):
            if isinstance(bound, ast.Constant):
                return str(bound.value)
    return ""
