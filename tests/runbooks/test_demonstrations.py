"""Every command of docs/middleware.md works in the running stack, and prints what the page says.

A block runs in the stack as it ships; one with `ops/up` in it runs in a stack of its own, as in

    $ BASCULE_CHAIN=app/examples/NAME.toml ops/up
    ...
    $ curl localhost/
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.harness.processes import ROOT
from tests.harness.tree import Tree
from tests.runbooks.page import Step, blocks
from tests.runbooks.shell import check_output, run_block

pytestmark = pytest.mark.integration

PAGE = ROOT / "docs" / "middleware.md"
BLOCKS = blocks(PAGE)


@pytest.fixture(scope="module")
def shipped(venv: Path) -> Iterator[Tree]:
    """The stack as it ships."""
    tree = Tree(venv)
    done = tree.up()
    assert done.returncode == 0, done.stdout + done.stderr
    yield tree
    tree.remove()


@pytest.fixture
def own(venv: Path) -> Iterator[Tree]:
    """A copy in which nothing runs yet."""
    tree = Tree(venv)
    yield tree
    tree.remove()


def starts_a_stack(block: list[Step]) -> bool:
    return any("ops/up" in step.command for step in block)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block[0].command)
def test_the_commands_print_what_the_page_says(
    block: list[Step], request: pytest.FixtureRequest
) -> None:
    tree = request.getfixturevalue("own" if starts_a_stack(block) else "shipped")
    # An engine may answer on this machine; local mode is enough to show what a link does.
    steps = [replace(s, command=s.command.replace("ops/up", "ops/up --local")) for s in block]
    for step, output in zip(steps, run_block(tree, steps), strict=True):
        check_output(PAGE, step, output)


def test_the_shipped_stack_is_shown() -> None:
    assert any(not starts_a_stack(block) for block in BLOCKS)
