"""The rolling restart: loses nothing, and stops where a worker does not come back."""

from __future__ import annotations

import pytest

from tests.harness.tree import Tree

pytestmark = pytest.mark.integration


def test_two_restarts_under_load_lose_no_request(running: Tree) -> None:
    before = running.worker_pids()
    with running.load() as failures:
        for _ in range(2):
            done = running.run("ops/restart")
            assert done.returncode == 0, done.stdout + done.stderr
    assert failures == []
    assert "[1/2] worker-0 is back: process" in done.stdout
    assert "[2/2] worker-1 is back: process" in done.stdout
    assert not set(before.values()) & set(running.worker_pids().values())


def test_a_lone_worker_is_restarted_under_load_without_a_gap(tree: Tree) -> None:
    assert tree.up(WORKERS="1").returncode == 0
    before = tree.worker_pids()
    with tree.load() as failures:
        done = tree.run("ops/restart")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a stand-in serves" in done.stdout
    assert failures == []
    assert tree.worker_pids() != before
    listening = {line["worker"] for line in tree.log() if line["event"] == "listening"}
    assert listening == {"0", "stand-in"}


def test_it_stops_at_the_first_worker_that_does_not_come_back(tree: Tree) -> None:
    assert tree.up().returncode == 0
    before = tree.worker_pids()
    wsgi = tree.root / "app" / "hello.py"
    good = wsgi.read_text()
    wsgi.write_text("raise RuntimeError('a bad deployment')\n")

    with tree.load() as failures:
        done = tree.run("ops/restart")
    assert done.returncode == 1
    assert "bascule:worker-0 did not come back" in done.stderr
    assert "a bad deployment" in done.stderr
    assert failures == []  # the other worker was not touched and serves on
    assert f"worker-1: 200 from process {before['worker-1']}" in tree.run("ops/health").stdout

    wsgi.write_text(good)
    again = tree.run("ops/restart")
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.index("worker-0 is back") < again.stdout.index("worker-1 is back")


def test_a_worker_that_never_gets_ready_is_given_up_after_the_time_limit(tree: Tree) -> None:
    assert tree.up().returncode == 0
    (tree.root / "app" / "hello.py").write_text("import time\ntime.sleep(60)\n")
    done = tree.run("ops/restart", "--timeout", "2")
    assert done.returncode == 1
    assert "bascule:worker-0 did not come back: no answer within 2 s" in done.stderr
    assert tree.get("/alice")[0] == 200
