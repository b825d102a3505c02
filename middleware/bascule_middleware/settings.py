"""The check of a link's settings against the signature of its constructor.

A link declares its settings as arguments after the application; that is the only declaration.
Annotations that TOML has values for are checked: `bool`, `int`, `float`, `str`, `Path`,
`Sequence[T]`, `Mapping[str, T]`, `Literal[...]`, and unions of them. Any other is left to the link.
A `Path` is written as a string and read from the directory of the chain file, so that a chain
means the same wherever the server is started.
"""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Union

_ARRAYS = (Sequence, list)
_TABLES = (Mapping, dict)


class SettingError(ValueError):
    """A setting that a link cannot work with. Links raise it from their constructors."""

    def __init__(self, setting: str, message: str, *keys: str | int) -> None:
        """Name the `setting` and say in `message` what is wrong and what would be right.

        `keys` lead to the place inside an array or a table, so that its line can be told.
        """
        super().__init__(f'setting "{setting}": {message}')
        self.setting = setting
        self.keys = keys


@dataclass(frozen=True)
class Setting:
    """One setting as a link declares it: its annotation, resolved, and its default."""

    name: str
    hint: Any
    default: object  # REQUIRED where there is none


REQUIRED = inspect.Parameter.empty


def declared(link: Callable[..., object]) -> dict[str, Setting]:
    """Return a link's settings by name, in the order in which it declares them."""
    _, *parameters = inspect.signature(link).parameters.values()
    return {
        parameter.name: Setting(parameter.name, _hint(link, parameter), parameter.default)
        for parameter in parameters
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    }


def takes_any(link: Callable[..., object]) -> bool:
    """Return whether a link has settings that it does not declare (`**options`)."""
    parameters = inspect.signature(link).parameters.values()
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)


def check(link: Callable[..., object], settings: Mapping[str, object]) -> None:
    """Raise SettingError for an unknown or missing setting, or one of the wrong type.

    A missing setting is reported under its own name, though the file has no such key.
    """
    known = declared(link)
    for name in settings:
        if name not in known and not takes_any(link):
            raise SettingError(name, f"unknown{did_you_mean(name, known)}")
    for name, setting in known.items():
        if name in settings:
            if not _matches(settings[name], setting.hint):
                wrong, right = _toml(settings[name]), _in_words(setting.hint)
                raise SettingError(name, f"{wrong} is not {right}")
        elif setting.default is REQUIRED:
            raise SettingError(name, "missing, and it has no default")


def with_paths(
    link: Callable[..., object], settings: Mapping[str, object], directory: Path
) -> dict[str, object]:
    """Return checked settings in which what is declared as `Path` is one, seen from `directory`."""
    parameters = inspect.signature(link).parameters
    found = dict(settings)
    for name, value in settings.items():
        hint = _hint(link, parameters[name]) if name in parameters else None
        if isinstance(value, str) and Path in (hint, *typing.get_args(hint)):
            found[name] = directory / value
    return found


def did_you_mean(name: str, known: typing.Iterable[str]) -> str:
    """Return a remark to append to a message: the nearest known name, or all of them."""
    known = sorted(known)
    nearest = get_close_matches(name, known, n=1)
    if nearest:
        return f'; did you mean "{nearest[0]}"?'
    return f" (known: {', '.join(known)})" if known else ""


def _hint(link: Callable[..., object], parameter: inspect.Parameter) -> Any:
    """Return a parameter's annotation; Any where it names what exists for type checkers only."""
    holder = types.SimpleNamespace(__annotations__={"setting": parameter.annotation})
    try:
        return typing.get_type_hints(holder, vars(sys.modules[link.__module__]))["setting"]
    except NameError:
        return Any


def _matches(value: object, hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        matches = any(_matches(value, choice) for choice in arguments)
    elif origin is Literal:
        matches = any(value == choice and type(value) is type(choice) for choice in arguments)
    elif origin in _ARRAYS:
        matches = isinstance(value, list) and all(_matches(item, arguments[0]) for item in value)
    elif origin in _TABLES:
        items = value.values() if isinstance(value, dict) else [None]
        matches = isinstance(value, dict) and all(_matches(item, arguments[1]) for item in items)
    elif hint in (bool, int, str):
        matches = type(value) is hint  # not isinstance: to Python, true is an int
    elif hint is Path:
        matches = type(value) is str
    elif hint is float:
        matches = type(value) in (int, float)
    else:
        matches = hint is not type(None)  # TOML has no null; the rest is the link's own affair
    return matches


_NOUNS = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a string",
    Path: "the path of a file or directory",
}
_PLURALS = {bool: "of true and false", int: "of integers", float: "of numbers", str: "of strings"}


def _in_words(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_in_words(choice) for choice in arguments if choice is not type(None))
    if origin is Literal:
        return " or ".join(map(_toml, arguments))
    if origin in (*_ARRAYS, *_TABLES):
        items = _PLURALS.get(arguments[-1], f"whose items are each {_in_words(arguments[-1])}")
        return f"{'an array' if origin in _ARRAYS else 'a table'} {items}"
    return _NOUNS.get(hint, str(hint))


def _toml(value: object) -> str:
    """Write a value as it stands in the file, near enough for a message."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return "a table" if isinstance(value, dict) else str(value)
