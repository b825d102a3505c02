"""What a misbehaving application's head says; read without importing it.

The constants are explained in docs/misbehaviour.md.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

APPLICATIONS: Final = Path(__file__).parent / "applications"
PACKAGE: Final = "tests.misbehaviour.applications"


@dataclass(frozen=True, slots=True)
class Case:
    """One application.

    Attributes:
        name: its file's.
        title: the first line of its docstring.
        borne_by: the mechanism of our own server that bears it (`mechanisms.py`).
        report: a public bug report of the kind, ``owner/repository#number``; empty for none.
        logged: an expression that the log must match.
        ends_worker: it may end the worker, which has to be replaced then.
        timeout: ``--timeout``, in seconds.
        requests: how often it is asked to misbehave.
        at_once: of these at the same time.
        waits: whether its own clients wait for their answers before the rest is looked at.
        reads: bytes after which its clients leave; 0: they read all.
        sends: bytes of a body; 0: a GET.
        silent: clients that connect and say nothing.
        status: what its clients are answered; 0: anything.
        answer: an expression that the answer's body must match.
        signal: sent to the server afterwards; empty for none.
        watch: seconds for which it is probed afterwards; the server's longest tick is 0.5 s.
        access_log: a relative path for it; empty for standard output.
        environment: further variables.
    """

    name: str
    title: str
    logged: str
    borne_by: str = ""
    report: str = ""
    ends_worker: bool = False
    timeout: float = 5
    requests: int = 1
    at_once: int = 1
    waits: bool = True
    reads: int = 0
    sends: int = 0
    silent: int = 0
    status: int = 200
    answer: str = ""
    signal: str = ""
    watch: float = 0.7
    access_log: str = ""
    environment: dict[str, str] | None = None

    @property
    def application(self) -> str:
        """``MODULE:CALLABLE``."""
        return f"{PACKAGE}.{self.name}:application"


def read_case(path: Path) -> Case:
    """Return what a file's head says."""
    module = ast.parse(path.read_text())
    fields = {name.upper(): name for name in Case.__dataclass_fields__}
    found: dict[str, Any] = {
        fields[target.id]: ast.literal_eval(statement.value)
        for statement in module.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name) and target.id in fields
    }
    title = (ast.get_docstring(module) or "").partition("\n")[0]
    return Case(name=path.stem, title=title, **found)


def all_cases() -> dict[str, Case]:
    """Return every application's case, by name."""
    return {
        path.stem: read_case(path)
        for path in sorted(APPLICATIONS.glob("*.py"))
        if path.stem != "__init__"
    }
