"""Which WSGI application a repository has, by what its files say."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bascule_ops.init import django_project
from bascule_ops.init.sources import PASSED_OVER, Module, Sources, Statement

# What makes an application, by the name that it is imported under.
MAKERS: Final = {
    "flask.Flask": "Flask",
    "bottle.Bottle": "Bottle",
    "bottle.app": "Bottle",
    "bottle.default_app": "Bottle",
    "falcon.App": "Falcon",
    "falcon.API": "Falcon",
    "django.core.wsgi.get_wsgi_application": "Django",
    "pyramid.paster.get_app": "Pyramid",
}
PLAIN: Final = "WSGI"
FACTORIES: Final = (
    *("create_app", "make_app", "build_app", "get_app"),
    *("create_application", "make_application", "get_application"),
)
# What is known of an application, and what for: Django's manage.py names its own; a module that is
# called wsgi is there for a server, and what it has is complete.
_OF_PROJECT: Final = 100
_HANDED_ON: Final = 5  # imports of imports that are followed
_OBJECT: Final = 40
_FACTORY: Final = 30
_CONVENTION: Final = 20
_FOR_SERVERS: Final = ("wsgi", "passenger_wsgi")
_MODULES: Final = {"wsgi": 20, "passenger_wsgi": 20, "application": 10, "app": 10, "main": 5}
_NAMES: Final = {"application": 5, "app": 4}


@dataclass(frozen=True, slots=True)
class Candidate:
    """An application that a repository has.

    Attributes:
        framework: its name, or `PLAIN`.
        target: ``MODULE:CALLABLE``, or ``MODULE:CALL(...)``.
        path: the file that says so, relative to the repository.
        home: the directory of the module that makes it; Flask has its static files there.
        score: how much speaks for it.
        has_own_static: it says itself where its static files are.
        needs_install: it is found by the metadata of the installed project.
    """

    framework: str
    target: str
    path: Path
    home: Path
    score: int
    has_own_static: bool = False
    needs_install: bool = False


def find(sources: Sources) -> list[Candidate]:
    """All candidates, the best one first."""
    found: dict[str, Candidate] = {}
    for candidate in (*_of_django(sources), *_of_ini(sources), *_of_modules(sources)):
        before = found.get(candidate.target)
        if before is None or before.score < candidate.score:
            found[candidate.target] = candidate
    return sorted(found.values(), key=lambda each: (-each.score, each.target))


def with_arguments(sources: Sources) -> list[str]:
    """Factories that cannot be called without: ``MODULE:FACTORY``."""
    return [
        f"{module.name}:{name}"
        for module in sources.modules.values()
        for name, bound in module.bindings.items()
        if name in FACTORIES
        and any(
            isinstance(each, ast.FunctionDef) and _within(sources, module, each) for each in bound
        )
    ]


def _of_django(sources: Sources) -> Iterator[Candidate]:
    if project := django_project.find(sources):
        path = sources.modules[project.wsgi_module].path
        target = f"{project.wsgi_module}:{project.wsgi_callable}"
        yield Candidate("Django", target, path, path.parent, _OF_PROJECT)


def _of_ini(sources: Sources) -> Iterator[Candidate]:
    """A file for PasteDeploy, as Pyramid has them, which says what to use."""
    is_pyramid = any(_imports(each, "pyramid") for each in sources.modules.values())
    for path in sorted((*sources.root.glob("*.ini"), *sources.root.glob("*/*.ini"))):
        place = path.relative_to(sources.root)
        if PASSED_OVER & set(place.parts):
            continue
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, configparser.Error):
            continue
        used = parser.get("app:main", "use", fallback="")
        if used.startswith(("egg:", "call:")):
            score = _OF_PROJECT - 10 * (path.name != "production.ini")
            framework, target = (
                "PasteDeploy",
                f'paste.deploy:loadapp("config:{place}", relative_to=".")',
            )
            if is_pyramid:
                framework, target = "Pyramid", f'pyramid.paster:get_app("{place}")'
            package = re.split("[:#]", used)[1].replace("-", "_")
            is_own = used.startswith("egg:") and sources.has(package)
            yield Candidate(*(framework, target, place, Path(package), score), needs_install=is_own)


def _imports(module: Module, package: str) -> bool:
    return any(each.partition(".")[0] == package for each in module.imports.values())


@dataclass(frozen=True, slots=True)
class Made:
    """What makes an application.

    Attributes:
        framework, home, has_own_static: as the candidate has them.
        score: how much it says by itself.
        ending: what follows its name.
    """

    framework: str
    home: Path
    has_own_static: bool = False
    score: int = _OBJECT
    ending: str = ""


def _of_modules(sources: Sources) -> Iterator[Candidate]:
    for module in sources.modules.values():
        leaf = module.name.rpartition(".")[2]
        for name, bound in module.bindings.items():
            made = next(filter(None, (_made(sources, module, name, each) for each in bound)), None)
            if made is None and leaf in _FOR_SERVERS and name in _NAMES:
                made = Made(PLAIN, module.path.parent, score=_CONVENTION)
            if made:
                score = made.score + _MODULES.get(leaf, 0) + _NAMES.get(name, 0)
                yield Candidate(
                    *(made.framework, f"{module.name}:{name}{made.ending}", module.path, made.home),
                    *(score - 2 * module.name.count("."), made.has_own_static),
                )


def _made(sources: Sources, module: Module, name: str, bound: Statement) -> Made | None:
    """What a name of a module is bound to."""
    match bound:
        case ast.Call():
            return _of_call(sources, module, bound)
        case ast.FunctionDef() if _is_application(bound.args, 0):
            return Made(PLAIN, module.path.parent)
        case ast.FunctionDef() if name in FACTORIES and _needs_nothing(bound.args):
            made = _within(sources, module, bound)
            return replace(made, score=_FACTORY, ending="()") if made else None
        case ast.ImportFrom() if name in _NAMES and _MODULES.get(module.name.rpartition(".")[2]):
            return _of_import(sources, module, name, bound)
    return None


def _of_call(sources: Sources, module: Module, call: ast.Call) -> Made | None:
    called = module.resolved(call.func)
    if framework := _maker(module, call.func, called):
        own = {"static_url_path", "static_folder"} & {each.arg for each in call.keywords}
        return Made(framework, module.path.parent, bool(own))
    made = (_by(sources, *each) for each in _definitions(sources, called))
    return next(filter(None, made), None)


def _definitions(sources: Sources, called: str) -> Iterator[tuple[Module, Statement]]:
    """What the repository binds to a dotted name, through modules that only hand it on."""
    for _ in range(_HANDED_ON):
        place, _, name = called.rpartition(".")
        if (module := sources.modules.get(place)) is None:
            return
        for each in module.bindings.get(name, []):
            yield module, each
        called = module.imports.get(name, "")


def _by(sources: Sources, module: Module, callee: Statement) -> Made | None:
    """What a call of something in the repository makes."""
    match callee:
        case ast.ClassDef() if _makes_callables(callee):
            return Made(PLAIN, module.path.parent)
        case ast.ClassDef(bases=bases):
            makers = (_maker(module, each, module.resolved(each)) for each in bases)
            framework = next(filter(None, makers), None)
            return Made(framework, module.path.parent) if framework else None
        case ast.FunctionDef():
            return _within(sources, module, callee)
    return None


def _maker(module: Module, function: ast.expr, called: str) -> str | None:
    if isinstance(function, ast.Attribute) and function.attr == "make_wsgi_app":
        return "Pyramid" if _imports(module, "pyramid") else None
    return MAKERS.get(called)


def _within(sources: Sources, module: Module, function: ast.FunctionDef) -> Made | None:
    """What a function makes: what it calls says it."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and _maker(module, node.func, module.resolved(node.func)):
            return _of_call(sources, module, node)
    return None


def _of_import(
    sources: Sources, module: Module, name: str, statement: ast.ImportFrom
) -> Made | None:
    """An application that a module for servers takes from another one of the repository."""
    other = sources.modules.get(module.imported_from(statement))
    (original,) = [each.name for each in statement.names if (each.asname or each.name) == name]
    if other is None or other is module:
        return None
    for each in other.bindings.get(original, []):
        if not isinstance(each, ast.ImportFrom) and (made := _made(sources, other, original, each)):
            return None if made.ending else made
    return None


def _is_application(arguments: ast.arguments, own: int) -> bool:
    """Whether these are PEP 3333's two, after `own` others."""
    names = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
    return len(names) == own + 2 and names[-1] == "start_response"


def _makes_callables(node: ast.ClassDef) -> bool:
    return any(
        isinstance(each, ast.FunctionDef)
        and each.name == "__call__"
        and _is_application(each.args, 1)
        for each in node.body
    )


def _needs_nothing(arguments: ast.arguments) -> bool:
    positional = len(arguments.posonlyargs) + len(arguments.args)
    return positional == len(arguments.defaults) and None not in arguments.kw_defaults
