"""The restart: loses nothing, and changes nothing where the new workers do not get ready."""

from __future__ import annotations

import re

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
    assert "they answer (2 of them)" in done.stdout
    assert done.stdout.endswith("\nDone: the new workers serve.\n")
    assert not set(before.values()) & set(running.worker_pids().values())


def test_a_lone_worker_is_restarted_under_load_without_a_gap(tree: Tree) -> None:
    assert tree.up(WORKERS="1").returncode == 0
    before = tree.worker_pids()
    with tree.load() as failures:
        done = tree.run("ops/restart")
    assert done.returncode == 0, done.stdout + done.stderr
    assert failures == []
    assert tree.worker_pids().keys() == before.keys()
    assert tree.worker_pids() != before
    listening = [line["worker"] for line in tree.log() if line["event"] == "listening"]
    assert listening == ["0", "0"]


def test_it_keeps_the_settings_that_the_workers_have(tree: Tree) -> None:
    assert tree.up(BASCULE_THREADS="3").returncode == 0
    (tree.root / ".env").write_text("WORKERS=1\n")
    done = tree.run("ops/restart", BASCULE_THREADS="5")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(tree.worker_pids()) == 2
    assert [x["threads"] for x in tree.log() if x["event"] == "listening"] == [3] * 4


def test_code_that_does_not_load_changes_nothing(tree: Tree) -> None:
    assert tree.up().returncode == 0
    before = tree.worker_pids()
    wsgi = tree.root / "app" / "hello.py"
    good = wsgi.read_text()
    wsgi.write_text("open('tries', 'a').write('x')\nraise RuntimeError('a bad deployment')\n")

    with tree.load() as failures:
        done = tree.run("ops/restart")
    assert done.returncode == 1
    assert re.search(
        r"the new workers are not ready: worker-\d cannot be started: .*bad", done.stderr
    )
    assert "a bad deployment. Nothing has changed: the workers that were there" in done.stderr
    assert failures == []
    assert tree.worker_pids() == before
    assert len((tree.root / "tries").read_text()) == 2  # one of each: who waits is to hear of it

    wsgi.write_text(good)
    again = tree.run("ops/restart")
    assert again.returncode == 0, again.stdout + again.stderr
    assert not set(before.values()) & set(tree.worker_pids().values())


def test_a_worker_that_never_gets_ready_is_given_up_after_the_time_limit(tree: Tree) -> None:
    assert tree.up().returncode == 0
    (tree.root / "app" / "hello.py").write_text("import time\ntime.sleep(60)\n")
    done = tree.run("ops/restart", "--timeout", "2")
    assert done.returncode == 1
    assert re.search(r"not ready: worker-\d: no answer.*, after 2 s\. Nothing has", done.stderr)
    assert tree.get("/alice")[0] == 200
