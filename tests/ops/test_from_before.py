"""A checkout that has become 0.2 while the stack of 0.1 runs in it, in local mode."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.tree import LIMIT, Tree
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.integration

# Stands in for its supervisord: the same command line, working directory and files.
SUPERVISED = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
print("ready", flush=True)
signal.pause()
"""


@pytest.fixture
def tree() -> Iterator[Tree]:
    made = Tree()
    yield made
    made.remove()


@pytest.fixture
def supervisord(tree: Tree, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """What 0.1 left running, and the virtual environment that it uses."""
    venv = tree.root / ".venv-run"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (venv / "installed.txt").write_text("what 0.1 had\n")
    module = tmp_path / "ops" / "supervision" / "supervised.py"
    module.parent.mkdir(parents=True)
    module.write_text(SUPERVISED)
    with subprocess.Popen(
        [venv / "bin" / "python", "-P", "-m", "ops.supervision.supervised"],
        cwd=tree.root,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        tree.run_dir.mkdir(mode=0o700)
        (tree.run_dir / ".bascule").write_text("1\n")
        (tree.run_dir / "supervise.pid").write_text(f"{process.pid}\n")
        (tree.run_dir / "settings").write_text("WORKERS='2'\nBASCULE_GRACEFUL_TIMEOUT='30'\n")
        yield process
        process.terminate()


def test_up_says_so_and_takes_nothing_from_under_it(
    tree: Tree, supervisord: subprocess.Popen[str]
) -> None:
    done = tree.up()
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        f"ops/up: the stack of Bascule 0.1 still runs here (process {supervisord.pid}): "
        "ops/down stops it (docs/upgrading.md)\n",
    )
    assert supervisord.poll() is None
    assert (tree.root / ".venv-run" / "installed.txt").read_text() == "what 0.1 had\n"
    assert (tree.run_dir / "supervise.pid").exists()


def test_down_stops_it(tree: Tree, supervisord: subprocess.Popen[str]) -> None:
    done = tree.run("ops/down")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Stopped.\n", "")
    assert supervisord.wait(LIMIT) == 0
    wait_until(lambda: not tree.run_dir.exists(), "the run directory is gone")
    assert tree.run("ops/down").stdout == "Nothing runs.\n"
