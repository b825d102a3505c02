"""Every runbook's commands work, in their order, and print what the page says."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ops.harness import ROOT, Tree
from tests.runbooks.page import Step, blocks, headings
from tests.runbooks.shell import LIMIT, check_output, run_block

PAGES = sorted((ROOT / "ops" / "runbooks").glob("*.md"))
SHAPE = ["When", "See", "Do", "Verify", "Undo", "If it fails"]


@pytest.fixture(scope="module")
def running() -> Iterator[Tree]:
    """A running stack of two workers in local mode."""
    tree = Tree()
    done = tree.up()
    assert done.returncode == 0, done.stdout + done.stderr
    yield tree
    tree.remove()


def follow(tree: Tree, step: Step) -> str:
    """Run a command that does not end by itself until it has printed what is expected."""
    process = subprocess.Popen(
        step.command.split(), cwd=tree.root, env=tree.environ, stdout=subprocess.PIPE, text=True
    )
    timer = threading.Timer(LIMIT, process.kill)
    timer.start()
    output = ""
    with process:
        assert process.stdout
        for line in process.stdout:
            output += line
            if step.pattern.match(output):
                break
        process.terminate()
    timer.cancel()
    return output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_runbook_has_the_fixed_shape(page: Path) -> None:
    assert headings(page) == SHAPE


@pytest.mark.integration
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_runbooks_commands_print_what_the_page_says(page: Path, running: Tree) -> None:
    assert blocks(page), "the page has no command"
    for block in blocks(page):
        if "--follow" in block[0].command:
            assert block[0].pattern.match(follow(running, block[0])), block[0].command
            continue
        for step, output in zip(block, run_block(running, block), strict=True):
            check_output(page, step, output)


def test_a_page_whose_output_is_wrong_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("- item\n\n  ```console\n  $ echo a; echo b\n  a\n  ...\n  $ true\n  ```\n")
    [[first, second]] = blocks(page)
    assert (first.command, second.command) == ("echo a; echo b", "true")
    assert first.pattern.fullmatch("a\nb")
    assert not first.pattern.fullmatch("c\nb")
    assert not second.pattern.fullmatch("something")
