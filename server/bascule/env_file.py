"""The file .env, read as compose reads it. Nothing in it is run.

The format is that of compose's own reader (https://docs.docker.com/reference/compose-file, "Syntax
for environment files"), as tests/stack/test_env_file.py asks compose itself: a value may stand in
quotes, go over several lines there, and name other variables. A backslash means something between
double quotes alone, and between single quotes nothing does but one before such a quote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from bascule.config import ConfigError

_SPACE: Final = r"[ \t\r\v\f]"
_BEFORE: Final = re.compile(r"(?:\s|#[^\n]*)*")
_NAME: Final = re.compile(rf"(?:export{_SPACE}+)?([^=:\n]*)([=:]?){_SPACE}*")
_GOOD_NAME: Final = re.compile(r"[\w.\-\[\]]+")
_PLAIN: Final = re.compile(r"[^\n]*")
_QUOTED: Final = re.compile(r""""((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'""", re.DOTALL)
_ESCAPE: Final = re.compile(r'\\([abfnrtv"\\$])')
_ESCAPED: Final = {**dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True)), "$": "$$"}
_VARIABLE: Final = re.compile(r"\$(?:(\$)|([A-Za-z_]\w*)|(\{))", re.ASCII)
_BRACED: Final = re.compile(r"([A-Za-z_]\w*)(?:(:?[-+?])(.*))?", re.ASCII | re.DOTALL)


def read(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings in a file; none where there is no file.

    Args:
        path: the file.
        environ: where the variables that a value names are looked for first, then in the file
            above it; one that is nowhere is empty.

    Raises:
        OSError: it cannot be read.
        ConfigError: compose would not accept it either; says the line.
    """
    if not path.is_file():
        return {}
    text = path.read_text("utf-8", "surrogateescape").removeprefix("\ufeff")
    found: dict[str, str] = {}
    for name, value, line in _statements(path, text):
        known = {**found, **environ}
        try:
            found[name] = _expanded(value, known)
        except ValueError as error:
            raise ConfigError(f"{path}, line {line}: {error}") from None
    return found


def _statements(path: Path, text: str) -> Iterator[tuple[str, str, int]]:
    """Yield name, value and line number of each setting; the variables are yet in the value."""
    position = _end(_BEFORE, text, 0)
    while position < len(text):
        line = text.count("\n", 0, position) + 1
        match = _NAME.match(text, position)
        name = match[1].rstrip() if match else ""
        if match is None or not _GOOD_NAME.fullmatch(name):
            raise ConfigError(f'{path}, line {line}: "{name}" is no name; a line is NAME=VALUE')
        position = match.end()
        if match[2]:
            value, position = _value(path, text, position, line)
            yield name, value, line
        # Without a sign it is what the environment says anyway.
        position = _end(_BEFORE, text, position)


def _value(path: Path, text: str, position: int, line: int) -> tuple[str, int]:
    if text[position : position + 1] not in ("'", '"'):
        end = _end(_PLAIN, text, position)
        return text[position:end].partition(" #")[0].rstrip(), end
    match = _QUOTED.match(text, position)
    if match is None:
        raise ConfigError(f"{path}, line {line}: the quotation mark has no second one")
    if match[1] is None:
        return match[2].replace("\\'", "'").replace("$", "$$"), match.end()
    return _ESCAPE.sub(lambda each: _ESCAPED.get(each[1], each[1]), match[1]), match.end()


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    """Where what matches at a position ends; the position itself where nothing does."""
    match = pattern.match(text, position)
    return match.end() if match else position


def _expanded(text: str, known: Mapping[str, str]) -> str:
    """`text` with the variables' values. Raises `ValueError` where one is not written right."""
    parts = []
    while match := _VARIABLE.search(text):
        parts.append(text[: match.start()])
        text = text[match.end() :]
        dollar, name, _ = match.groups()
        if dollar:
            parts.append("$")
        elif name:
            parts.append(known.get(name, ""))
        else:
            inside, text = _braced(text)
            parts.append(_substituted(inside, known))
    return "".join([*parts, text])


def _braced(text: str) -> tuple[str, str]:
    """What stands before the brace that closes, and after it."""
    depth = 1
    for brace in re.finditer(r"\$\{|\}", text):
        depth += 1 if brace[0] == "${" else -1
        if not depth:
            return text[: brace.start()], text[brace.end() :]
    raise ValueError(f'"${{{text}" has no closing brace')


def _substituted(inside: str, known: Mapping[str, str]) -> str:
    """The value of NAME, or of NAME and what to do without it (``:-``, ``:+``, ``:?``)."""
    match = _BRACED.fullmatch(inside)
    if match is None:
        raise ValueError(f'"${{{inside}}}" names no variable')
    name, operator, rest = match.groups()
    value = known.get(name)
    if not operator:
        return value or ""
    is_there = bool(value) if operator[0] == ":" else value is not None
    if operator[-1] == "+":
        return _expanded(rest, known) if is_there else ""
    if is_there:
        return value or ""
    if operator[-1] == "?":
        raise ValueError(f"{name} has to be set: {_expanded(rest, known)}")
    return _expanded(rest, known)
