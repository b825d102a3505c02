"""docs/learning.md: each of the five steps runs, and prints what the page says.

A block whose command is a server is started, and serves the blocks after it until the next server.
The page says port 8000; here each server takes a free one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.harness.processes import ROOT, Process
from tests.harness.tree import LIMIT, Tree
from tests.runbooks.page import Step, blocks
from tests.runbooks.shell import check_output, environ, run_block

PAGE = ROOT / "docs" / "learning.md"
FILE = re.compile(r"^```(?:python\n# (?P<module>\w+\.py)|toml)\n(?P<text>.*?)^```$", re.M | re.S)
IS_SERVER = re.compile(r"^(BASCULE_CHAIN=\S+ )?python -m (app|bascule)\b").match
PORT_8000 = "127.0.0.1:8000"


@pytest.fixture
def tree() -> Iterator[Tree]:
    """A checkout in which the page's files are written."""
    tree = Tree()
    for match in FILE.finditer(PAGE.read_text()):
        (tree.root / (match["module"] or "mine.toml")).write_text(match["text"])
    yield tree
    tree.remove()


@contextmanager
def serving(tree: Tree, step: Step) -> Iterator[str]:
    """Start a server and check what it prints first; give its address."""
    command = step.command + (" --port 0" if "-m app" in step.command else "")
    argv = ["bash", "-c", f"exec env {command} 2>&1"]
    settings = {"BASCULE_BIND": "127.0.0.1:0"}
    with Process(argv, cwd=tree.root, env=environ(tree) | settings) as process:
        line = process.read_line(LIMIT)
        address = re.search(r"127\.0\.0\.1:\d+", line)
        assert address, line
        check_output(PAGE, step, line.replace(address[0], PORT_8000))
        yield address[0]


@pytest.mark.integration
def test_every_step_runs_and_prints_what_the_page_says(tree: Tree) -> None:
    with ExitStack() as servers:
        address = PORT_8000
        for block in blocks(PAGE):
            if IS_SERVER(block[0].command):
                servers.close()
                address = servers.enter_context(serving(tree, block[0]))
                continue
            there = [Step(s.command.replace(PORT_8000, address), s.expected) for s in block]
            for step, output in zip(there, run_block(tree, there), strict=True):
                check_output(PAGE, step, output)


def test_the_page_has_five_steps_that_each_run_something() -> None:
    steps = re.split(r"^## (?=\d)", PAGE.read_text(), flags=re.MULTILINE)[1:]
    assert [step[0] for step in steps] == list("12345")
    assert all("```console" in step for step in steps)
