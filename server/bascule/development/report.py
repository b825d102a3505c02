"""What was raised, as its author reads it: the project's own calls, and the number of others.

The project's are those of files that are neither of Python's nor of installed packages. Calls of
the server's and of the chain's are left out.
"""

from __future__ import annotations

import linecache
import os
import sysconfig
from collections.abc import Iterator, Sequence
from itertools import groupby
from traceback import format_exception_only, walk_tb
from types import FrameType
from typing import Final, NamedTuple

from bascule.wsgi.load import is_of_the_server

# Lines of source that are shown before and after the one that matters.
BEFORE: Final = 5
AFTER: Final = 4
# Of a recursion, so many of the first calls and of the last.
MOST_CALLS: Final = 40
# Errors that led to one another, or that are in a group.
MOST_ERRORS: Final = 20

CAUSE: Final = "The error above was the direct cause of this one:"
CONTEXT: Final = "While the error above was handled, another one arose:"

_PACKAGES: Final = ("site-packages", "dist-packages")
_LIBRARIES: Final = tuple(
    os.path.realpath(path) + os.sep
    for path in map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib"))
)


class Call(NamedTuple):
    """One call of a traceback.

    Attributes:
        file: its name, from the working directory on where it is there.
        line: its number; 0 where there is none.
        function: the name of what is called.
        package: of the module, the first of its dotted names.
        is_own: whether it is the project's.
        source: lines with their numbers; none where they are not to be had.
    """

    file: str
    line: int
    function: str
    package: str
    is_own: bool
    source: tuple[tuple[int, str], ...]


class Raised(NamedTuple):
    """One error.

    Attributes:
        relation: how it follows from the one before; empty for the first.
        summary: its kind and its words, one line or several.
        calls: the outermost first.
    """

    relation: str
    summary: str
    calls: tuple[Call, ...]


def of(error: BaseException) -> list[Raised]:
    """Return an error and those that it arose from, the first of them first."""
    found: list[Raised] = []
    _add(error, "", found, set())
    if not any(call.is_own for raised in found for call in raised.calls):
        # Something is to be seen all the same: where it was raised.
        for index, raised in enumerate(found):
            if raised.calls:
                last = raised.calls[-1]._replace(is_own=True)
                found[index] = raised._replace(calls=(*raised.calls[:-1], last))
    return found


def _add(error: BaseException, relation: str, found: list[Raised], seen: set[int]) -> None:
    if id(error) in seen or len(seen) >= MOST_ERRORS:
        return
    seen.add(id(error))
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if earlier is not None:
        before = len(found)
        _add(earlier, relation, found, seen)
        if len(found) > before:
            relation = CAUSE if error.__cause__ else CONTEXT
    found.append(Raised(relation, summary(error), tuple(_calls(error))))
    if isinstance(error, BaseExceptionGroup):
        for number, each in enumerate(error.exceptions, 1):
            _add(each, f"{number} of {len(error.exceptions)} in the group:", found, seen)


def summary(error: BaseException) -> str:
    """Return what an error says; whatever it raises when it is asked is no matter."""
    return "".join(format_exception_only(error)).rstrip("\n")


def _calls(error: BaseException) -> Iterator[Call]:
    walked = [each for each in walk_tb(error.__traceback__) if not is_of_the_server(each[0])]
    if len(walked) > MOST_CALLS:
        walked = walked[: MOST_CALLS // 2] + walked[-MOST_CALLS // 2 :]
    for frame, line in walked:
        yield _call(frame, line or 0)
    if isinstance(error, SyntaxError) and error.filename and os.path.isfile(error.filename):
        line = error.lineno or 0
        source = tuple(_source(error.filename, line, None))
        yield Call(_shown(error.filename), line, "", "", _is_own(error.filename), source)


def _call(frame: FrameType, line: int) -> Call:
    file = frame.f_code.co_filename
    package = str(frame.f_globals.get("__name__")).partition(".")[0]
    source = tuple(_source(file, line, frame))
    return Call(_shown(file), line, frame.f_code.co_qualname, package, _is_own(file), source)


def _source(file: str, line: int, frame: FrameType | None) -> Iterator[tuple[int, str]]:
    linecache.checkcache(file)
    lines = linecache.getlines(file, frame.f_globals if frame else None)
    first = max(1, line - BEFORE)
    for number, text in enumerate(lines[first - 1 : line + AFTER], first):
        yield number, text.rstrip("\n")


def _shown(file: str) -> str:
    here = os.getcwd() + os.sep
    return file.removeprefix(here)


def _is_own(file: str) -> bool:
    path = os.path.realpath(file)
    is_of_a_package = any(each in path.split(os.sep) for each in _PACKAGES)
    return os.path.isfile(path) and not is_of_a_package and not path.startswith(_LIBRARIES)


def text(errors: Sequence[Raised]) -> str:
    """Return them as Python writes a traceback, with the calls of libraries in one line."""
    return "\n\n".join(_text(each) for each in errors)


def _text(raised: Raised) -> str:
    lines = [f"{raised.relation}\n"] if raised.relation else []
    if raised.calls:
        lines.append("Traceback (most recent call last):")
    for is_own, calls in groupby(raised.calls, key=lambda call: call.is_own):
        if is_own:
            lines += map(_place, calls)
        else:
            lines.append(f"  ... {folded(list(calls))}")
    return "\n".join([*lines, raised.summary])


def _place(call: Call) -> str:
    within = f", in {call.function}" if call.function else ""
    text = dict(call.source).get(call.line, "").strip()
    place = f'  File "{call.file}", line {call.line}{within}'
    return f"{place}\n    {text}" if text and call.function else place


def folded(calls: Sequence[Call]) -> str:
    """Return how many calls of libraries these are, and of which."""
    packages = ", ".join(dict.fromkeys(call.package for call in calls))
    return f"{len(calls)} {'call' if len(calls) == 1 else 'calls'} of {packages}"
