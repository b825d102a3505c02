"""What docs/logs.md says about the lines of the log, read from its tables."""

from __future__ import annotations

import ast
import json
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from tests.harness.processes import ROOT

PAGE = ROOT / "docs" / "logs.md"
TYPES: dict[str, Any] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: type(value) is int,
    "number": lambda value: type(value) in (int, float),
    "list of strings": lambda value: (
        isinstance(value, list) and all(isinstance(v, str) for v in value)
    ),
    "any": lambda value: True,
}
ANY_OTHER = "any other"
# | `name`, `name` | type | when it is there; empty: always | ...
_ROW = re.compile(rf"\| ([^|]*) \| ({'|'.join(TYPES)}) \|([^|]*)\|")
_NAME = re.compile(r"`(\w+)`")
# Sections of which an event may be one when nginx and the supervisor did not write it.
OF_WORKERS = ("The server", "The chain", "The application")


@dataclass(frozen=True)
class Key:
    """A key of an event.

    Attributes:
        type: one of `TYPES`.
        is_always_there: whether every line of the event has it.
    """

    type: str
    is_always_there: bool


Keys = dict[str, Key]


def sections() -> dict[str, dict[str, Keys]]:
    """The keys by the page's second-level heading and by event; those of every line under ''."""
    found: defaultdict[str, dict[str, Keys]] = defaultdict(dict)
    heading, events = "", [""]
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            heading, events = line[3:], [""]
        elif line.startswith("### "):
            events = _NAME.findall(line)
            for event in events:
                found[heading][event] = {}
        elif match := _ROW.match(line):
            names, kind, when = match.groups()
            for event in events:
                for name in _NAME.findall(names) or [names]:
                    found[heading].setdefault(event, {})[name] = Key(kind, not when.strip())
    return dict(found)


def examples() -> list[dict[str, Any]]:
    """The example lines, as objects."""
    blocks = re.findall(r"^```json\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [json.loads(line) for block in blocks for line in block.splitlines()]


def events_in_the_code() -> set[str]:
    """The names of events that stand in the source of whoever writes to the log."""
    found = set()
    for directory in ("server", "middleware", "ops"):
        for path in (ROOT / directory).rglob("*.py"):
            if "log_reader" in path.parts:
                continue  # it makes records of what others wrote
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    found.update(_event_logged_by(node))
                elif isinstance(node, ast.Dict):
                    pairs = zip(node.keys, node.values, strict=True)
                    found.update(_text(value) for key, value in pairs if _text(key) == "event")
    return found - {""}


def _event_logged_by(call: ast.Call) -> set[str]:
    """`event(level, NAME, ...)` of the server, `line(level, NAME, ...)` of ops/bascule_ops/json_log.py, and
    what middleware calls its functions of the kind `_tell(environ, level, NAME, ...)`."""
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    place = {"event": 1, "line": 1, "_tell": 2, "_tell_of": 2, "_extra": 1}.get(name)
    return {_text(call.args[place])} if place and len(call.args) > place else set()


def _text(node: ast.AST | None) -> str:
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return str(node.value) if is_text else ""  # type: ignore[union-attr]


def section_of(record: dict[str, Any], schema: dict[str, dict[str, Keys]]) -> str:
    """The section that a line belongs to; empty where the page knows no such event."""
    event, worker = record.get("event", ""), record.get("worker")
    if worker == "supervise":
        return "The supervisor" if event in schema["The supervisor"] else ""
    if worker == "nginx" or event == "output":
        return "nginx" if event in schema["nginx"] else ""
    return next((section for section in OF_WORKERS if event in schema[section]), "")


def faults(record: dict[str, Any], schema: dict[str, dict[str, Keys]]) -> list[str]:
    """What is not as the page says; empty where all is."""
    section = section_of(record, schema)
    if not section:
        return [f"the event {record.get('event')} by {record.get('worker')} is not on the page"]
    keys = schema["Every line"][""] | schema[section][record["event"]]
    found = [
        f"{name} is missing"
        for name, key in keys.items()
        if key.is_always_there and name not in record and name != ANY_OTHER
    ]
    for name, value in record.items():
        key = keys.get(name) or keys.get(ANY_OTHER)
        if key is None:
            found.append(f"{name} is not on the page")
        elif not TYPES[key.type](value):
            found.append(f"{name} is no {key.type}: {value!r}")
    return found
