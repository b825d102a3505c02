"""An application that the user names, held against the files."""

from __future__ import annotations

import ast
import difflib
from importlib.util import find_spec
from pathlib import Path

from bascule_ops.errors import Refused
from bascule_ops.init.applications import PLAIN, Candidate
from bascule_ops.init.sources import Module, Sources

FORM = "name it as MODULE:CALLABLE, such as shop.wsgi:application or shop:create_app()"


def named(sources: Sources, where: str, target: str, found: list[Candidate]) -> Candidate:
    """The application `target`. Raises `Refused`, with where it is named, if it cannot be one."""
    for each in found:
        if each.target == target:
            return each
    module_name, _, expression = target.partition(":")
    name = _callable(where, target, expression)
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise _refused(where, target, FORM)
    module = sources.modules.get(module_name)
    if module is None:
        _check_elsewhere(sources, where, target, module_name)
        return Candidate(PLAIN, target, Path(module_name), Path(), 0, has_own_static=True)
    if name not in module.bindings and not _is_open(module):
        near = difflib.get_close_matches(name, module.bindings, n=1)
        remedy = f"; did you mean {near[0]}?" if near else ""
        raise _refused(where, target, f"{module.path} has no {name}{remedy}")
    framework = next((e.framework for e in found if e.path == module.path), PLAIN)
    return Candidate(framework, target, module.path, module.path.parent, 0)


def _callable(where: str, target: str, expression: str) -> str:
    """The name before the arguments, if any. Raises `Refused`."""
    try:
        node = ast.parse(expression, mode="eval").body
    except (SyntaxError, ValueError):
        raise _refused(where, target, FORM) from None
    if isinstance(node, ast.Call):
        node = node.func
    if not isinstance(node, ast.Name):
        raise _refused(where, target, FORM)
    return node.id


def _check_elsewhere(sources: Sources, where: str, target: str, module: str) -> None:
    """Raise `Refused` where neither the repository nor this environment has the module."""
    package = module.partition(".")[0]
    if sources.has(module):
        return  # a place that is passed over, such as tests/
    if sources.has(package):
        raise _refused(where, target, f"the repository has no module {module}")
    if find_spec(package) is None:  # a package is looked for and not imported
        raise _refused(
            where,
            target,
            f"neither the repository nor this virtual environment has a module {module}",
        )


def _is_open(module: Module) -> bool:
    """Whether it has names that its text does not say."""
    return "__getattr__" in module.bindings or "*" in module.bindings


def _refused(where: str, target: str, why: str) -> Refused:
    return Refused(f'{where} is "{target}": {why}')
