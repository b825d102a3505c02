"""Whatever the loop and threads call is called at a place, and nothing is swallowed in silence."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SERVER = Path(__file__).parents[2] / "server" / "bascule"
# What the event loop was given, by the names that it has for it.
GIVEN = {"handler", "on_turn", "on_tick", "on_signal", "handle"}
# Where what is caught is not told: the first is the teller itself, and at the last nobody is left.
SILENT = {"guard.py", "streams.py"}
ABROAD = {
    "wsgi/cgi.py": "a process of one request",
    "wsgi/gateway.py": "the application's exception is its answer",
    "worker.py": "a start that fails",
    "engine/crew.py": "kept for the next turn of the thread",
    "engine/connection.py": "_break notes it",
    "engine/loop.py": "_note_failed notes it",
}


def caught(handler: ast.ExceptHandler) -> bool:
    """Return whether a handler catches everything."""
    return isinstance(handler.type, ast.Name) and handler.type.id == "BaseException"


def notes(handler: ast.ExceptHandler) -> bool:
    """Return whether a handler notes what it caught, at a place."""
    calls = [node for node in ast.walk(handler) if isinstance(node, ast.Call)]
    names = {node.func.attr for node in calls if isinstance(node.func, ast.Attribute)}
    return bool(names & {"note", "_note_failed", "_break"})


def guarded(tree: ast.AST) -> set[ast.AST]:
    """Return what stands in a ``try`` that notes whatever is raised."""
    return {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.Try) and any(caught(x) and notes(x) for x in node.handlers)
        for statement in node.body
        for inner in ast.walk(statement)
    }


def calls_of_others(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls of what the loop was given."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        # calls.popleft()() is the call of one that was left to the loop.
        if name in GIVEN or isinstance(called, ast.Call):
            yield node


def test_whatever_is_given_to_the_loop_is_called_at_a_place() -> None:
    tree = ast.parse((SERVER / "engine" / "loop.py").read_text())
    # Of a stand-in for a handler, which the loop calls in its place.
    stand_in = next(
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "_Behind"
    )
    within = set(ast.walk(stand_in))
    found = [each for each in calls_of_others(tree) if each not in within]
    assert len(found) >= 6
    safe = guarded(tree)
    assert [ast.unparse(each) for each in found if each not in safe] == []


def test_every_part_of_a_tick_and_every_thread_is_called_at_a_place() -> None:
    """What runs by itself: a thread's function has a place in it, or calls what has one."""
    for path in SERVER.rglob("*.py"):
        tree = ast.parse(path.read_text())
        functions = {
            node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
        }
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and ast.unparse(node.func) == "threading.Thread"):
                continue
            (target,) = [each.value for each in node.keywords if each.arg == "target"]
            name = target.attr if isinstance(target, ast.Attribute) else ast.unparse(target)
            text = ast.unparse(functions[name])
            assert ".note(" in text or "finally:" in text, f"{path.name}: {name} has no place"


def test_whatever_catches_everything_notes_it() -> None:
    for path in SERVER.rglob("*.py"):
        name = str(path.relative_to(SERVER))
        if path.name in SILENT or name in ABROAD:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler) and caught(node):
                assert notes(node), f"{name}:{node.lineno} swallows what it catches"
