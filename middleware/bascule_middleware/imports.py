"""Callables by name, "package.module:callable", and readable reasons where there is none.

What makes an application is called: "package.module:create_app('production')", its arguments
literals.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from bascule_middleware.renamed import successor
from bascule_middleware.settings import did_you_mean


class NameRefusedError(Exception):
    """No callable has this name. The text begins with the name, and fits on a line."""


def imported(name: str) -> Any:
    """Return the callable that `name` stands for. Raises NameRefusedError.

    Its cause is set where the module was found but raised: there the traceback helps.
    """
    module_name, _, expression = name.partition(":")
    if not (module_name and expression):
        raise NameRefusedError(f'"{name}" is not of the form "package.module:callable"')
    attribute, bracket, _ = expression.partition("(")
    arguments = _arguments(name, expression) if bracket else None
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{module_name}.".startswith(f"{missing}."):
            reason = f'there is no module "{missing}"{successor(module_name, missing)}'
            raise NameRefusedError(f'"{name}": {reason}') from None
        reason = f"{one_line(error)}{successor(module_name, missing) if missing else ''}"
        raise NameRefusedError(f'"{name}": importing "{module_name}" failed: {reason}') from error
    try:
        found = getattr(module, attribute)
    except AttributeError:
        public = [known for known in vars(module) if not known.startswith("_")]
        remedy = did_you_mean(attribute, public)
        reason = f'module "{module_name}" has no "{attribute}"{remedy}'
        raise NameRefusedError(f'"{name}": {reason}') from None
    if arguments is not None and callable(found):
        try:
            found = found(*arguments.args, **arguments.kwargs)
        except (Exception, SystemExit) as error:
            raise NameRefusedError(f'"{name}": the call failed: {one_line(error)}') from error
    if not callable(found):
        raise NameRefusedError(f'"{name}" is not callable but a {type(found).__name__}')
    return found


@dataclass(frozen=True)
class Arguments:
    """What a call has between its brackets."""

    args: list[Any]
    kwargs: dict[str, Any]


def _arguments(name: str, expression: str) -> Arguments:
    """Return the arguments of the call that `expression` is. Raises NameRefusedError."""
    import ast  # noqa: PLC0415 (half a megabyte, which a name alone does not need)

    try:
        call = ast.parse(expression, mode="eval").body
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            args = [ast.literal_eval(each) for each in call.args]
            kwargs = {each.arg: ast.literal_eval(each.value) for each in call.keywords}
            named = {key: value for key, value in kwargs.items() if key}
            if len(named) == len(call.keywords):  # no "**"
                return Arguments(args, named)
    except (SyntaxError, ValueError):
        pass
    remedy = "write it as \"package.module:create_app('production')\", with literals"
    raise NameRefusedError(f'"{name}" is no call: {remedy}')


def one_line(error: BaseException) -> str:
    """Return an exception's type and text, without the line breaks that some texts have."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
