"""tests/harness is the one place that waits, finds free ports and makes HTTP connections."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
CLIENTS = {"HTTPConnection", "HTTPSConnection", "urlopen"}


def used(tree: ast.AST) -> set[str]:
    """Return the names that code uses, attributes among them."""
    nodes = list(ast.walk(tree))
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return attributes | {node.id for node in nodes if isinstance(node, ast.Name)}


def is_waiter(node: ast.AST) -> bool:
    """Whether a loop ends with an error once it is late."""
    return isinstance(node, ast.While) and any(
        isinstance(each, ast.Assert | ast.If)
        and "monotonic" in used(each.test)
        and any(isinstance(part, ast.Assert | ast.Raise) for part in ast.walk(each))
        for each in ast.walk(node)
    )


def is_free_port(node: ast.AST) -> bool:
    """Whether a socket listens on a port that the kernel chooses."""
    return isinstance(node, ast.Call) and ast.unparse(node).endswith(
        "create_server(('127.0.0.1', 0))"
    )


def faults(tree: ast.AST) -> Iterator[str]:
    """Say what the harness has already."""
    for node in ast.walk(tree):
        if is_waiter(node):
            yield f"line {node.lineno}: a waiter; tests.harness.waiting has one"
        if is_free_port(node):
            yield f"line {node.lineno}: a port; tests.harness.ports has free_port and listen"
    if clients := used(tree) & CLIENTS:
        yield f"{', '.join(sorted(clients))}: a client; tests.harness.fetch has one"


def test_nobody_beside_the_harness_waits_finds_ports_or_connects_by_means_of_his_own() -> None:
    files = [path for path in TESTS.rglob("*.py") if path.parent != TESTS / "harness"]
    assert len(files) > 100
    found = {
        str(path.relative_to(TESTS)): list(faults(ast.parse(path.read_text()))) for path in files
    }
    assert {path: each for path, each in found.items() if each} == {}


@pytest.mark.parametrize(
    "text",
    [
        "while not fact():\n    assert time.monotonic() < end",
        "while True:\n    if time.monotonic() > end:\n        raise TimeoutError",
        "socket.create_server(('127.0.0.1', 0))",
        "http.client.HTTPConnection('localhost')",
        "urlopen(url)",
    ],
)
def test_each_of_them_would_be_found(text: str) -> None:
    assert list(faults(ast.parse(text)))
