"""One virtual environment for all tests here, and a running stack for those that share it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.tree import Tree


@pytest.fixture
def tree(venv: Path) -> Iterator[Tree]:
    """A copy in which nothing runs yet."""
    tree = Tree(venv)
    yield tree
    tree.remove()


@pytest.fixture(scope="module")
def running(venv: Path) -> Iterator[Tree]:
    """A copy whose stack runs with two workers."""
    tree = Tree(venv)
    done = tree.up()
    assert done.returncode == 0, done.stdout + done.stderr
    yield tree
    tree.remove()


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., str]:
    """Saves lines as a log; returns its path."""

    def save(*lines: str) -> str:
        path = tmp_path / "saved.log"
        path.write_text("".join(f"{each}\n" for each in lines))
        return str(path)

    return save
