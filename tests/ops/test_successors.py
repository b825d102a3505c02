"""A worker serves until its successor answers, whatever it is to be replaced for."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.harness.tree import LIMIT, Tree
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.integration

# /hang never returns, /hold keeps the interpreter's lock; no other process can load this once the file
# "broken" is there.
APPLICATION = """
import ctypes, os, threading

if os.path.exists("broken"):
    raise RuntimeError("no successor today")

def application(environ, start_response):
    if environ["PATH_INFO"] == "/hang":
        threading.Event().wait()
    if environ["PATH_INFO"] == "/hold":
        ctypes.PyDLL(None).sleep(600)
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
    # More than a worker has threads, in each of the two. Some of them may begin when others have been
    # given up: then as many hang as it has threads after twice the timeout.
    with tree.load() as failures, hanging(tree, 20):
        wait_until(
            lambda: len(told(tree, "info")) >= 2, "two replacements", limit=2 * LIMIT, interval=0.5
        )
    assert failures == []
    assert not set(before.values()) & set(tree.worker_pids().values())


class Asking:
    """Requests that are all sent, whether or not anybody answers, and what becomes of them."""

    def __init__(self, tree: Tree, number: int) -> None:
        self._tree = tree
        self.answers: list[tuple[int, bytes]] = []
        self._clients = [threading.Thread(target=self._ask, args=(at,)) for at in range(number)]
        for each in self._clients:
            each.start()

    def _ask(self, number: int) -> None:
        method, body = (("GET", None), ("POST", b"x" * 100))[number % 2]
        self.answers.append(self._tree.get("/alice", method, body))

    def end(self) -> list[tuple[int, bytes]]:
        """Wait for all answers; return those that are not what they should be."""
        for each in self._clients:
            each.join()
        return [each for each in self.answers if each != (200, b"alice")]


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_that_are_stopped_are_replaced_and_answer_what_they_have_all_the_same(
    tree: Tree, workers: int
) -> None:
    before = start(tree, WORKERS=str(workers), BASCULE_TIMEOUT="16")
    for pid in before.values():
        os.kill(int(pid), signal.SIGSTOP)
    asking = Asking(tree, 12)
    wait_until(lambda: len(told(tree, "info")) >= workers, "successors", limit=LIMIT)
    assert asking.end() == []
    assert not set(before.values()) & set(tree.worker_pids().values())
    assert told(tree, "error") == []
    for each in told(tree, "warning"):
        assert "is to be replaced: it does not say how it is" in each["message"]
    wait_until(lambda: not set(before.values()) & {*map(str, tree.pids())}, "their end")


def test_a_worker_in_a_call_that_keeps_the_interpreter_s_lock_is_replaced_before_it_ends(
    tree: Tree,
) -> None:
    before = start(tree, WORKERS="1", BASCULE_TIMEOUT="16")
    hold = threading.Thread(target=tree.get, args=("/hold",))
    hold.start()
    wait_until(lambda: told(tree, "info"), "a successor", limit=LIMIT)
    assert tree.get("/alice") == (200, b"alice")
    assert tree.worker_pids()["worker-0"] != before["worker-0"]
    hold.join()


def test_a_worker_that_could_not_be_started_is_back_once_its_code_is_mended(tree: Tree) -> None:
    before = start(tree)
    (tree.root / "broken").touch()
    with tree.load() as failures:
        os.kill(int(before["worker-1"]), signal.SIGKILL)
        wait_until(
            lambda: any(
                "worker-1 could not be started" in each.get("message", "") for each in tree.log()
            ),
            "the end of its tries",
            limit=LIMIT,
        )
        (tree.root / "broken").unlink()
        wait_until(lambda: told(tree, "info"), "its successor", limit=LIMIT)
    assert [each for each in failures if "POST: 502" not in each] == []  # what it was killed with
    after = tree.worker_pids()
    assert (len(after), after["worker-0"]) == (2, before["worker-0"])
    assert "worker-1 is back: process none -> " in told(tree, "info")[0]["message"]


def test_sighup_brings_new_workers_one_after_another_and_no_gap(tree: Tree) -> None:
    before = start(tree)
    site = int((tree.run_dir / "supervise.pid").read_text())
    with tree.load() as failures:
        os.kill(site, signal.SIGHUP)
        wait_until(lambda: len(told(tree, "info")) >= 2, "two replacements", limit=LIMIT)
        after = tree.worker_pids()
        assert not set(before.values()) & set(after.values())

        (tree.root / "broken").touch()
        os.kill(site, signal.SIGHUP)
        wait_until(lambda: len(told(tree, "error")) >= 2, "two failures", limit=LIMIT)
    assert failures == []
    assert tree.worker_pids() == after
    assert {"supervisord got SIGHUP" in each["message"] for each in told(tree, "warning")} == {True}
