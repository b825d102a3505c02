"""The JSON Schema of a chain file, so that editors complete and check it.

It is made from what `settings.check` goes by: the signatures of the links' constructors. The
descriptions come from their docstrings. What only a link itself can judge, as whether a text is a
network, stays with the link.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union

from bascule_middleware import settings
from bascule_middleware.chain import SHORT_NAMES
from bascule_middleware.imports import imported
from bascule_middleware.settings import REQUIRED, Setting

DRAFT = "https://json-schema.org/draft/2020-12/schema"
CALLABLE = "^[^:]+:.+$"  # "package.module:callable"

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", Path: "string"}


def chain_schema() -> dict[str, Any]:
    """Return the schema of a whole file. Raises NameRefusedError for a link without its module."""
    links = [link_schema(name, imported(SHORT_NAMES[name])) for name in SHORT_NAMES]
    own = {
        "title": "a link of your own",
        "type": "object",
        "required": ["use"],
        "properties": {"use": {"type": "string", "pattern": CALLABLE}},
    }
    return {
        "$schema": DRAFT,
        "title": "A chain of WSGI middleware",
        "type": "object",
        "required": ["application"],
        "additionalProperties": False,
        "properties": {
            "application": {
                "description": 'The application, as "package.module:callable".',
                "type": "string",
                "pattern": CALLABLE,
            },
            "static": {
                "description": "The directory, seen from this file, that nginx serves under "
                '/static/; or "collectstatic": what that command of Django\'s collects.',
                "type": "string",
            },
            "media": {
                "description": "The directory, seen from this file, that nginx serves under "
                "/media/: what the application was sent.",
                "type": "string",
            },
            "links": {
                "description": "The links, outermost first.",
                "type": "array",
                # Editors offer what is in oneOf, and do not look into if/then.
                "items": {"oneOf": [*links, own]},
            },
        },
    }


def link_schema(use: str, constructor: Callable[..., object]) -> dict[str, Any]:
    """Return the schema of the table of a link that `use` names."""
    declared = settings.declared(constructor)
    required = [name for name, setting in declared.items() if setting.default is REQUIRED]
    return {
        "title": use,
        "description": (inspect.getdoc(constructor) or "").partition("\n")[0],
        "type": "object",
        "required": ["use", *required],
        "additionalProperties": settings.takes_any(constructor),
        "properties": {
            "use": {"const": use},
            **{
                name: _setting_schema(setting, described(constructor, name, declared))
                for name, setting in declared.items()
            },
        },
    }


def described(constructor: Callable[..., object], name: str, names: Iterable[str]) -> str:
    """Return what the constructor's docstring says of a setting; "" where it says nothing.

    It says it after the setting's name and a colon, up to the next one of `names` or a blank line.
    """
    function = constructor.__init__ if inspect.isclass(constructor) else constructor
    text = inspect.cleandoc(function.__doc__ or "")
    others = "|".join(map(re.escape, names))
    found = re.search(
        rf"(?:^|(?<=\s))`?{re.escape(name)}`?:\s+(.+?)[.;]?(?=\s+`?(?:{others})`?:\s|\n\n|\Z)",
        text,
        re.DOTALL,
    )
    return " ".join(found[1].split()) if found else ""


def _setting_schema(setting: Setting, description: str) -> dict[str, Any]:
    schema = _type_schema(setting.hint)
    if description:
        schema = {"description": description, **schema}
    if setting.default is not REQUIRED and setting.default is not None:
        schema["default"] = _in_json(setting.default)
    return schema


def _type_schema(hint: Any) -> dict[str, Any]:
    """Return the schema of the values that `settings.check` takes for an annotation."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    schema: dict[str, Any] = {}
    if origin in (Union, types.UnionType):
        choices = [_type_schema(choice) for choice in arguments if choice is not type(None)]
        schema = choices[0] if len(choices) == 1 else {"anyOf": choices}
    elif origin is Literal:
        schema = {"enum": list(arguments)}
    elif origin in (Sequence, list):
        schema = {"type": "array", "items": _type_schema(arguments[0])}
    elif origin in (Mapping, dict):
        schema = {"type": "object", "additionalProperties": _type_schema(arguments[1])}
    elif hint in _TYPES:
        schema = {"type": _TYPES[hint]}
    return schema


def _in_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _in_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_in_json(item) for item in value]
    return value if isinstance(value, bool | int | float) else str(value)
