"""A worker serves until its successor answers, whatever it is to be replaced for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.harness.tree import LIMIT, Tree
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.integration

# /hang never returns; its successor cannot be loaded once the file "broken" is there.
APPLICATION = """
import os, threading

if os.path.exists("broken"):
    raise RuntimeError("no successor today")

def application(environ, start_response):
    if environ["PATH_INFO"] == "/hang":
        threading.Event().wait()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"alice"]
"""


def start(tree: Tree, **settings: str) -> dict[str, str]:
    """Start the stack; return who serves."""
    (tree.root / "hangs.py").write_text(APPLICATION)
    done = tree.up(BASCULE_APP="hangs:application", START_TIMEOUT="3", **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    return tree.worker_pids()


def told(tree: Tree, level: str) -> list[dict[str, Any]]:
    """Return what was said of replacements."""
    return [each for each in tree.log() if (each["event"], each["level"]) == ("recycled", level)]


@contextmanager
def hanging(tree: Tree, number: int) -> Iterator[None]:
    """Have so many requests hang."""
    clients = [threading.Thread(target=tree.get, args=("/hang",)) for _ in range(number)]
    for each in clients:
        each.start()
    yield
    for each in clients:
        each.join()


def test_a_lone_worker_is_recycled_again_and_again_without_a_gap(tree: Tree) -> None:
    before = start(tree, WORKERS="1", BASCULE_MAX_REQUESTS="200")
    with tree.load() as failures:
        wait_until(lambda: len(told(tree, "info")) >= 3, "three replacements", limit=LIMIT)
    assert failures == []
    assert told(tree, "error") == []
    assert told(tree, "info")[0]["message"].startswith(
        f"worker-0 is back: process {before['worker-0']} -> "
    )
    assert len(tree.worker_pids()) == 1
    assert tree.run("ops/status").returncode == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_where_no_successor_can_be_started_the_worker_goes_on_and_status_says_why(
    tree: Tree, workers: str
) -> None:
    before = start(tree, WORKERS=workers, BASCULE_MAX_REQUESTS="100")
    (tree.root / "broken").touch()
    with tree.load() as failures:
        wait_until(lambda: told(tree, "error"), "the news of a failure", limit=LIMIT)
    assert failures == []
    assert tree.worker_pids() == before
    words = told(tree, "error")[0]["message"]
    assert "goes on, since it has no successor: worker-" in words
    assert "no successor today" in tree.run("ops/status").stdout

    (tree.root / "broken").unlink()
    assert tree.run("ops/restart").returncode == 0
    assert not set(before.values()) & set(tree.worker_pids().values())


@pytest.mark.parametrize("settings", [{}, {"BASCULE_THREADS": "4", "BASCULE_TIMEOUT": "2"}])
def test_calls_that_hang_in_both_workers_at_once_leave_nobody_else_without_an_answer(
    tree: Tree, settings: dict[str, str]
) -> None:
    before = start(tree, **settings)
    # More than a worker has threads, in each of the two.
    with tree.load() as failures, hanging(tree, 20):
        wait_until(lambda: len(told(tree, "info")) >= 2, "two replacements", limit=LIMIT)
    assert failures == []
    assert not set(before.values()) & set(tree.worker_pids().values())
