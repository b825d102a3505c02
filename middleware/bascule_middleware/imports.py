"""Callables by name, "package.module:callable", and readable reasons where there is none."""

from __future__ import annotations

import importlib
from typing import Any

from bascule_middleware.renamed import successor
from bascule_middleware.settings import did_you_mean


class NameRefusedError(Exception):
    """No callable has this name. The text begins with the name, and fits on a line."""


def imported(name: str) -> Any:
    """Return the callable that `name` stands for. Raises NameRefusedError.

    Its cause is set where the module was found but raised: there the traceback helps.
    """
    module_name, _, attribute = name.partition(":")
    if not (module_name and attribute):
        raise NameRefusedError(f'"{name}" is not of the form "package.module:callable"')
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
    if not callable(found):
        raise NameRefusedError(f'"{name}" is not callable but a {type(found).__name__}')
    return found


def one_line(error: BaseException) -> str:
    """Return an exception's type and text, without the line breaks that some texts have."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
