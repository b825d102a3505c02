"""ops/list: every stack of this machine, whatever project it is of."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.harness.processes import is_alive
from tests.harness.tree import LIMIT, Tree
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.integration

# No engine is asked.
NO_ENGINE = {"DOCKER_HOST": "unix:///dev/null/none"}


def listed(asks: Tree, root: Path) -> list[dict[str, Any]]:
    """What is said of the stacks of a directory."""
    done = asks.run("ops/list", "--json", **NO_ENGINE)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["silent"] is None
    return [each for each in document["stacks"] if each["directory"] == str(root)]


def test_a_stack_is_listed_from_its_start_to_its_end_and_wherever_one_asks(
    tree: Tree, running: Tree
) -> None:
    assert listed(tree, tree.root) == []
    assert tree.up().returncode == 0
    (found,) = listed(running, tree.root)
    assert found | {"since": None} == {
        "directory": str(tree.root),
        "mode": "local",
        "url": f"http://localhost:{tree.port}/",
        "state": "serves",
        "since": None,
        "remedy": None,
    }
    assert len(listed(tree, running.root)) == 1
    lines = tree.run("ops/list", **NO_ENGINE).stdout.splitlines()
    assert lines[0].split() == ["DIRECTORY", "MODE", "ADDRESS", "STATE", "FOR"]
    (line,) = [line.split() for line in lines if line.split()[0] == str(tree.root)]
    assert line[1:4] == ["local", f"http://localhost:{tree.port}/", "serves"]
    assert tree.run("ops/down").returncode == 0
    assert listed(running, tree.root) == []


def test_commands_need_no_virtual_environment_where_containers_are_all_that_runs() -> None:
    tree = Tree()
    try:
        assert listed(tree, tree.root) == []
        done = tree.run("ops/status", **NO_ENGINE)
        assert done.returncode == 3, done.stderr
        assert not (tree.root / ".venv-run").exists()
    finally:
        tree.remove()


def test_one_whose_supervisord_was_killed_is_still_found(tree: Tree) -> None:
    assert tree.up().returncode == 0
    os.kill(int((tree.run_dir / "supervise.pid").read_text()), signal.SIGKILL)
    wait_until(
        lambda: listed(tree, tree.root)[0]["state"] == "lost supervisord",
        "the killed process to be gone",
        limit=LIMIT,
    )
    assert tree.up().returncode == 0
    assert [each["state"] for each in listed(tree, tree.root)] == ["serves"]


def test_one_whose_run_directory_was_removed_is_still_found(tree: Tree) -> None:
    assert tree.up().returncode == 0
    shutil.rmtree(tree.run_dir)
    (found,) = listed(tree, tree.root)
    assert found["state"] == "lost files"
    assert found["remedy"] == f"somebody has removed {tree.run_dir}: down, then up"


def test_whose_a_port_is_that_is_in_use_is_said(tree: Tree, running: Tree) -> None:
    for name, port in (("HTTP_PORT", running.port), ("STATUS_PORT", running.status_port)):
        done = tree.up(**NO_ENGINE, **{name: str(port)})
        assert done.returncode == 2
        assert done.stderr.endswith(
            f"; port {port} is that of the stack of {running.root} (local mode)\n"
        ), done.stderr


def test_of_a_project_that_has_moved_it_is_said_what_to_do(tree: Tree) -> None:
    assert tree.up().returncode == 0
    before, after = tree.root, tree.root.with_name(f"{tree.root.name}-moved")
    before.rename(after)
    tree.root, tree.run_dir = after, after / ".run"
    (found,) = listed(tree, after)
    assert found["state"] == "moved"
    assert found["remedy"].startswith(f"it was {before} when its stack was started")

    def assert_told(done: subprocess.CompletedProcess[str]) -> None:
        words = f"the project was {before} when its stack was started"
        assert (done.returncode, words in done.stderr) == (1, True), done.stderr

    for command in ("status", "restart", "deploy", "up"):
        assert_told(tree.run(f"ops/{command}", **NO_ENGINE))
    pids = tree.pids()
    done = tree.run("ops/down", **NO_ENGINE)
    assert (done.returncode, done.stdout) == (0, "Stopped.\n"), done.stderr
    assert not tree.run_dir.exists()
    wait_until(lambda: not any(map(is_alive, pids)), "the processes to end", limit=LIMIT)
    assert listed(tree, after) == []
    done = tree.up()
    assert done.returncode == 0, done.stderr
