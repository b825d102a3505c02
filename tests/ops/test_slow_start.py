"""An application that takes its time to load, or that cannot be loaded yet."""

from __future__ import annotations

import re

import pytest

from tests.harness.processes import Process
from tests.harness.tree import LIMIT, Tree
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.integration

NEEDS_A_DATABASE = """
from bascule_middleware.wsgi import application
open("database").close()
"""
# Loads at once for ops/up's own check.
LOADS_UNTIL_IT_MAY_GO_ON = """
import os, time
from bascule_middleware.wsgi import application
while "BASCULE_WORKER" in os.environ and not os.path.exists("go-on"):
    time.sleep(0.01)
"""


def start(tree: Tree, source: str) -> Process:
    """``ops/up`` with an application of that source."""
    (tree.root / "slow.py").write_text(source)
    settings = {"BASCULE_APP": "slow:application"}
    return Process(["ops/up", "--local"], cwd=tree.root, env=tree.environ | settings)


def test_up_says_what_does_not_load_yet_and_tries_it_again(tree: Tree) -> None:
    with start(tree, NEEDS_A_DATABASE) as up:
        said = up.wait_until(lambda: up.err, "its word", limit=LIMIT)
        assert re.fullmatch(
            "The application does not load yet: cannot load slow:application: FileNotFoundError: "
            r".* 'database'; trying again for 1[12]\d s\n",
            said,
        )
        (tree.root / "database").touch()
        assert up.wait(LIMIT) == 0
        assert up.err == said


def test_who_loads_says_for_how_long(tree: Tree) -> None:
    with start(tree, LOADS_UNTIL_IT_MAY_GO_ON) as up:

        def health() -> list[str]:
            return tree.run("ops/health").stdout.splitlines()

        def is_loading() -> bool:
            lines = health()
            forms = [rf"worker-{number}: loading for .* s" for number in (0, 1)]
            return len(lines) == 2 and all(map(re.fullmatch, forms, lines))

        wait_until(is_loading, "word of the workers that load", limit=LIMIT)
        status = tree.run("ops/status")
        assert status.returncode == 1
        assert re.search(
            r"^! worker-0 is loading its application, and serves nobody yet: loading for "
            r".* s \(process \d+\)$",
            status.stdout,
            re.MULTILINE,
        )
        assert re.search(r"^0 +loading +\d+ +.* s ", status.stdout, re.MULTILINE)
        (tree.root / "go-on").touch()
        assert up.wait(LIMIT) == 0
        assert tree.run("ops/status").returncode == 0
