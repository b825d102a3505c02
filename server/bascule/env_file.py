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

# What Go calls white space, in a line and anywhere; Python's has four separators more.
_BLANKS: Final = " \t\r\v\f\x85\xa0"
_WHITE: Final = (
    _BLANKS + "\n\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
)
_BEFORE: Final = re.compile(rf"(?:[{_WHITE}]|#[^\n]*)*")
_NAME: Final = re.compile(rf"(?:export[{_BLANKS}]+)?([^=:\n]*?)[{_BLANKS}]*([=:\n]|\Z)[{_BLANKS}]*")
_GOOD_NAME: Final = re.compile(r"[\w.\-\[\]]+")
_PLAIN: Final = re.compile(r"[^\n]*")
_QUOTED: Final = re.compile(r""""((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'""", re.DOTALL)
_ESCAPE: Final = re.compile(r'\\(?:([abfnrtv"\\$])|0(\d{0,3}))', re.ASCII)
_ESCAPED: Final = {**dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True)), "$": "$$"}
_OCTAL: Final = re.compile("[0-3][0-7]{2}")
_VARIABLE: Final = re.compile(r"\$(?:(\$)|([A-Za-z_]\w*)|(\{))", re.ASCII)
_BRACED: Final = re.compile(r"([A-Za-z_]\w*)(?:(:?[-+?])(.*))?", re.ASCII)


def read(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings in a file; none where there is no file.

    Args:
        path: the file.
        environ: where the variables that a value names are looked for first, then in the file
            above it; one that is nowhere is empty.

    Raises:
        OSError: it cannot be read.
        ConfigError: compose would not accept it either, or would not hand it on as it stands; says
            the line.
    """
    if not path.is_file():
        return {}
    text = _text(path)
    found: dict[str, str] = {}
    statements = list(_statements(path, text))
    for number, (name, value, line) in enumerate(statements):
        below = {each: at for each, _, at in reversed(statements[number:]) if each not in environ}
        try:
            found[name] = _expanded(value, _Known({**found, **environ}, below))
        except ValueError as error:
            raise ConfigError(f"{path}, line {line}: {error}") from None
    return found


class _Known(dict[str, str]):
    """What a value may name; `below` are the lines that set something at it or below.

    Of these, docker compose would put one value into its own file, and give another to a service
    whose env_file it is: it reads that once more, and knows all of the file by then.
    """

    def __init__(self, known: Mapping[str, str], below: Mapping[str, int]) -> None:
        super().__init__(known)
        self._below = below

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        if name in self._below:
            raise ValueError(f"it names {name}, which line {self._below[name]} sets: name another")
        return super().get(name, default)


def _text(path: Path) -> str:
    # Bytes: where lines end, and where values have a carriage return, is not Python's to say.
    content = path.read_bytes()
    try:
        text = content.decode().removeprefix("\ufeff")
        end = text.find("\0")
    except UnicodeDecodeError as error:
        text, end = content[: error.start].decode(), error.start
    if end < 0:
        return text
    line = text.count("\n", 0, end) + 1
    raise ConfigError(f"{path}, line {line}: it is not text in UTF-8")


def _statements(path: Path, text: str) -> Iterator[tuple[str, str, int]]:
    """Yield name, value and line number of each setting; the variables are yet in the value."""
    position = _end(_BEFORE, text, 0)
    while position < len(text):
        line = text.count("\n", 0, position) + 1
        match = _NAME.match(text, position)
        name = match[1] if match else ""
        # A name alone is what the environment says anyway; compose wants the line's end after it.
        if match is None or not match[2] or not _GOOD_NAME.fullmatch(name):
            raise ConfigError(f'{path}, line {line}: "{name}" is no name; a line is NAME=VALUE')
        position = match.end()
        if match[2] != "\n":
            value, position = _value(path, text, position, line)
            yield name, value, line
        position = _end(_BEFORE, text, position)


def _value(path: Path, text: str, position: int, line: int) -> tuple[str, int]:
    if text[position : position + 1] not in ("'", '"'):
        end = _end(_PLAIN, text, position)
        return text[position:end].partition(" #")[0].rstrip(_WHITE), end
    match = _QUOTED.match(text, position)
    if match is None:
        raise ConfigError(f"{path}, line {line}: the quotation mark has no second one")
    if match[1] is None:
        return match[2].replace("\\'", "'").replace("$", "$$"), match.end()
    return _ESCAPE.sub(_escaped, match[1]), match.end()


def _escaped(match: re.Match[str]) -> str:
    letter, digits = match.groups()
    if letter:
        return _ESCAPED.get(letter, letter)
    # \0101 is the character with that octal number; of what is none, the zero goes.
    return chr(int(digits, 8)) if _OCTAL.fullmatch(digits) else f"\\{digits}"


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
