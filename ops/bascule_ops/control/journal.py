"""Which operation is at work on a stack, or was when it was killed: a file in the project.

Each stack has its own: a project may have several in containers, by other COMPOSE_PROJECT_NAMEs.
Whoever replaces workers holds a lock on it, and so do the programs that it runs. What the file says
while nobody holds the lock is of an operation that was killed; how far that had come is for the
site to show (`bascule_ops.generations.replacement.Left`). An operation that ends removes it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, TextIO

from bascule_ops.errors import CommandError
from bascule_ops.program import named

_FILE: Final = ".operation"


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for.

    Attributes:
        command: ``restart``, ``deploy``, ``rollback`` or ``scale``.
        timeout: seconds that the new workers may take until they answer; None: as the settings say.
        build, tag: containers: build the image, or take the one that has this tag.
        workers: how many there are to be; 0: as the settings say.
    """

    command: str
    timeout: float | None = None
    build: bool = False
    tag: str = ""
    workers: int = 0

    @property
    def settings(self) -> dict[str, str]:
        """What it sets, whatever the environment says."""
        return {"WORKERS": str(self.workers)} if self.workers else {}


@dataclass(frozen=True, slots=True)
class Entry:
    """An operation that has begun.

    Attributes:
        pid: whose process it is.
        order: what is to be done.
        is_proven: whether the new workers serve, so that nothing is begun again.
    """

    pid: int
    order: Order
    is_proven: bool = False

    def __str__(self) -> str:
        return f"{named(self.order.command)} (process {self.pid})"

    def proven(self) -> Entry:
        """Return it with that."""
        return replace(self, is_proven=True)


class Journal:
    """The file, whose lock this process has."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self._path = path
        self._file = file

    def read(self) -> Entry | None:
        """The operation that was not ended; None where there is none, or another version's."""
        return _read(self._file)

    def write(self, entry: Entry) -> None:
        """Keep what is begun."""
        self._file.truncate(0)
        json.dump(asdict(entry), self._file)
        self._file.flush()

    def clear(self) -> None:
        """It is ended."""
        self._path.unlink(missing_ok=True)


def path(root: Path, stack: str = "") -> Path:
    """Where that of a stack is; `stack`: the name of its compose project, empty in local mode."""
    return root / f"{_FILE}{stack and f'-{stack}'}"


@contextmanager
def alone(path: Path) -> Iterator[Journal]:
    """Keep others out: two would take each other's workers for the old. Raises `CommandError`."""
    with _locked(path) as file:
        os.set_inheritable(file.fileno(), True)
        yield Journal(path, file)


@contextmanager
def _locked(path: Path) -> Iterator[TextIO]:
    while True:
        with path.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                other = _read(file) or "another operation"
                raise CommandError(f"{other} is at work here; wait for its end") from None
            if not _is_there(path, file):  # whoever had the lock has removed it
                continue
            try:
                yield file
            finally:
                if _is_there(path, file) and not _read(file):
                    path.unlink()
            return


def _is_there(path: Path, file: TextIO) -> bool:
    return path.exists() and path.samefile(f"/proc/self/fd/{file.fileno()}")


def cut_off(path: Path) -> str:
    """What people call the operation that was killed; empty where one is at work.

    It is asked where there is something left of one: for a moment it keeps others out.
    """
    try:
        with path.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return str(_read(file) or "an operation")
    except BlockingIOError:
        return ""
    except FileNotFoundError:
        return "an operation"


def forget(path: Path) -> None:
    """Nothing is left of what was killed: the stack is stopped."""
    path.unlink(missing_ok=True)


def _read(file: TextIO) -> Entry | None:
    file.seek(0)
    try:
        found = json.load(file)
        return Entry(**{**found, "order": Order(**found["order"])})
    except (ValueError, TypeError, KeyError):
        return None
