"""The file Procfile: which processes a project has beside its web server.

A line is ``NAME: COMMAND``, a comment (``#``, ``//``), or empty. Names are of ``[A-Za-z0-9_-]``, at
most 63, and each is there once; commands are a shell's. Read as Heroku, Dokku (whose file format
this is: https://dokku.com/docs/appendices/file-formats/procfile/) and foreman read it; foreman
passes over what is no such line, and here it is refused. Two names mean something: ``web`` is what
Bascule serves, and never run; ``release`` is run before a version is put into service.

``python -P -m bascule_ops.procfile NAME[.NUMBER]``, in the project, becomes such a process. It has
``PORT`` as foreman gives it, and its name in ``PS``.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from bascule_ops.errors import CommandError, Refused
from bascule_ops.settings.variables import DEFAULTS
from bascule_ops.supervision.command import become

FILE: Final = "Procfile"
WEB, RELEASE = "web", "release"
LONGEST_NAME: Final = 63  # bytes; a host's name in DNS, as a container has it
FIRST_PORT: Final = 5000
PORTS: Final = 100  # for each name, by its place in the file
GRACE: Final = "PROCFILE_GRACE"
# In the environment of a process and of all that it starts, by which they are found.
MARK: Final = "BASCULE_PROCESS"
_LINE: Final = re.compile(r"([A-Za-z0-9_-]+)[ \t]*:[ \t]*(.*)")
_COMMENT: Final = re.compile(r"\s*(?:#|//|$)")
_NUMBER: Final = re.compile("[0-9]{1,2}", re.ASCII)
_SERVERS: Final = ("gunicorn", "bascule", "waitress-serve", "uwsgi", "granian")
# MODULE, MODULE:CALLABLE, MODULE:CALLABLE(ARGUMENTS)
_TARGET: Final = re.compile(r"[A-Za-z_][\w.]*(:[A-Za-z_][\w.]*(\(.*\))?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line.

    Attributes:
        name: of the processes.
        command: for a shell.
        port: of the first of them.
    """

    name: str
    command: str
    port: int


def parsed(text: str) -> dict[str, Entry]:
    """The entries by their names, in their order. Raises `Refused`, which says the line."""
    found: dict[str, Entry] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(re.split(r"\r?\n", text.removeprefix("\ufeff")), 1):
        if _COMMENT.match(line):
            continue
        match = _LINE.fullmatch(line)
        if match is None or "\0" in line:
            _refuse(number, f"{line.strip()!r} is not NAME: COMMAND, with a name of A-Za-z0-9_-")
        name, command = match[1], match[2].strip()
        if len(name) > LONGEST_NAME:
            _refuse(number, f"{name} is longer than {LONGEST_NAME} characters")
        if not command:
            _refuse(number, f"{name} has no command")
        if name in found:
            _refuse(number, f"{name} is there already, in line {lines[name]}")
        lines[name] = number
        found[name] = Entry(name, command, FIRST_PORT + PORTS * len(found))
    return found


def _refuse(number: int, why: str) -> NoReturn:
    raise Refused(f"{FILE}, line {number}: {why}")


def read(root: Path) -> dict[str, Entry]:
    """The entries of a project's file; none where there is no file. Raises `CommandError`."""
    try:
        return parsed((root / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CommandError(f"cannot read {error.filename}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise Refused(f"{FILE}, line {line}: it is not UTF-8") from None


def processes(entries: Iterable[str]) -> list[str]:
    """The names of what is run beside the web server."""
    return [name for name in entries if name not in (WEB, RELEASE)]


def setting(name: str) -> str:
    """The variable that says how many processes of a name there are."""
    return f"SCALE_{name.upper().replace('-', '_')}"


def number_of(name: str, environ: Mapping[str, str]) -> int:
    """How many processes of a name there are to be. Raises `Refused`."""
    value = environ.get(setting(name)) or "1"
    if not _NUMBER.fullmatch(value):
        raise Refused(f'{setting(name)} is "{value}": set it to a number of processes, 0 to 99')
    return int(value)


def wanted(entries: Mapping[str, Entry], environ: Mapping[str, str]) -> list[str]:
    """What is to run beside the web server: ``worker.1``, ``worker.2``, ... Raises `Refused`."""
    return [
        f"{name}.{number}"
        for name in processes(entries)
        for number in range(1, number_of(name, environ) + 1)
    ]


def grace(environ: Mapping[str, str]) -> int:
    """Seconds that a process has to end, once asked to. Raises `Refused`."""
    value = environ.get(GRACE) or DEFAULTS[GRACE]
    if not re.fullmatch("[1-9][0-9]*", value, re.ASCII):
        raise Refused(f'{GRACE} is "{value}": set it to whole seconds, such as {DEFAULTS[GRACE]}')
    return int(value)


def is_process(name: str) -> bool:
    """Whether a program of supervisord's is one of a Procfile."""
    return "." in name


def kind(name: str) -> str:
    """What the file calls a process: ``worker`` for ``worker.1``."""
    return name.partition(".")[0]


def target(entries: Mapping[str, Entry], root: Path) -> str:
    """The application that ``web`` names, as servers are told it; empty where it names none."""
    try:
        words = shlex.split(entries[WEB].command, comments=True) if WEB in entries else []
    except ValueError:  # a quote without its end
        return ""
    for place, word in enumerate(words):
        if Path(word).name in _SERVERS:
            return _target(words[place + 1 :], root)
    return ""


def _target(words: Sequence[str], root: Path) -> str:
    found = [each for each in words if _TARGET.fullmatch(each) and _is_there(each, root)]
    if not found:
        return ""
    # The value of an option may be called as a module is.
    best = max(found, key=lambda each: ":" in each)
    is_factory = "--call" in words and ":" in best and not best.endswith(")")
    return f"{best}()" if is_factory else best


def _is_there(name: str, root: Path) -> bool:
    """Whether a module is in the project."""
    place = name.partition(":")[0].replace(".", "/")
    return any(
        (root / directory / file).is_file()
        for directory in ("", "src")
        for file in (f"{place}.py", f"{place}/__init__.py")
    )


def command(entry: Entry) -> tuple[str, ...]:
    """What runs it: bash, as on Heroku, where there is one; its last command takes its place."""
    return (shutil.which("bash") or "/bin/sh", "-c", entry.command)


def environment(entry: Entry, number: int, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What it has in its environment beside the project's settings."""
    name = f"{entry.name}.{number}"
    yield "PORT", str(entry.port + number - 1)
    yield "PS", name
    yield MARK, name
    python = Path(environ.get("PYTHON", ""))
    if python.is_absolute():  # local mode: its programs come first
        yield "PATH", f"{python.parent}{os.pathsep}{environ.get('PATH', os.defpath)}"


def main(name: str) -> int:
    """Become a process of the Procfile in the working directory; else return the exit status."""
    called, _, number = name.partition(".")
    try:
        entries = read(Path())
    except CommandError as error:
        print(error, file=sys.stderr)
        return error.status
    if called not in entries:
        print(f"the Procfile has no {called} any more", file=sys.stderr)
        return 0 if called == RELEASE else 1
    entry = entries[called]
    os.environ.update(environment(entry, int(number or 1), os.environ))
    # In a container of its own nobody else says whose lines these are.
    return become(command(entry), "" if called == RELEASE else called)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
