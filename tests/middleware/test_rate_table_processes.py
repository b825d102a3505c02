"""The shared table across processes: exact, whoever is killed in the midst of it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from bascule_middleware.links.ratelimit.limits import parse_limit
from bascule_middleware.links.ratelimit.rate_table import Table

from tests.harness.processes import ROOT, Process
from tests.middleware.workers import LIMIT, answers, hammering, signs

pytestmark = pytest.mark.integration


def test_eight_processes_that_hammer_one_key_are_admitted_exactly_the_limit(
    tmp_path: Path,
) -> None:
    settings = {"limits": ["100/day burst 1000"], "table": str(tmp_path / "table")}
    with hammering(8, 12_500, settings) as workers:
        said = answers(workers)
    assert (len(said), said.count("+"), said.count("!")) == (100_000, 1000, 0)


def test_eight_processes_that_all_make_the_file_at_once_make_one(tmp_path: Path) -> None:
    for number in range(2):
        settings = {"limits": ["20/day"], "table": str(tmp_path / f"table {number}")}
        with hammering(8, 10, settings) as workers:
            assert answers(workers).count("+") == 20


def test_workers_killed_in_the_midst_neither_block_the_others_nor_free_anybody(
    tmp_path: Path,
) -> None:
    settings = {"limits": ["1000/day burst 20000"], "table": str(tmp_path / "table")}
    with hammering(8, 1_000_000, settings) as workers:
        for killed in workers[:6]:
            killed.wait_until(
                lambda worker=killed: len(signs(worker)) > 1000, "it is well under way", limit=LIMIT
            )
            killed.kill()
        for survivor in workers[6:]:
            survivor.wait_until(
                lambda worker=survivor: signs(worker).endswith("-" * 500),
                "nothing more is admitted",
                limit=LIMIT,
            )
            survivor.kill()
        said = "".join(map(signs, workers))
    # A request of each that was killed may be counted and not reported.
    assert 20_000 - len(workers) <= said.count("+") <= 20_000
    assert "!" not in said


def test_a_lock_is_free_again_when_its_holder_is_killed(tmp_path: Path) -> None:
    path, limit = tmp_path / "table", parse_limit("1/day", 64)
    table = Table(path, 64)
    holds = (
        "import fcntl, sys; f = open(sys.argv[1], 'r+b'); fcntl.lockf(f, fcntl.LOCK_EX); "
        "print('held', flush=True); sys.stdin.read()"
    )
    with Process([sys.executable, "-c", holds, path], stdin=subprocess.PIPE) as holder:
        assert holder.read_line() == "held\n"
        answer: list[bool] = []
        waiting = threading.Thread(target=lambda: answer.append(table.take([(limit, ("a",))])[0]))
        waiting.start()
        waiting.join(0.2)
        assert answer == []  # it waits for its turn
        holder.kill()
        waiting.join()
    assert answer == [True]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_that_was_forked_from_one_with_a_table_shares_its_counts(tmp_path: Path) -> None:
    table, limit = Table(tmp_path / "table", 64), parse_limit("100/day", 64)

    def admitted() -> int:
        return sum(table.take([(limit, ("a",))])[0] for _ in range(100))

    reading, writing = os.pipe()
    children = []
    for _ in range(2):
        child = os.fork()
        if not child:
            os.write(writing, bytes([admitted()]))
            os._exit(0)
        children.append(child)
    here = admitted()
    os.close(writing)
    for child in children:
        os.waitpid(child, 0)
    assert here + sum(os.read(reading, 10)) == 100
    os.close(reading)


def test_a_fork_while_another_thread_is_counting_leaves_the_child_able_to_count(
    tmp_path: Path,
) -> None:
    # In a process of its own: that one has no other threads than those that it starts.
    script = """
import os, sys, threading
from pathlib import Path
from bascule_middleware.links.ratelimit.limits import parse_limit
from bascule_middleware.links.ratelimit.rate_table import Table
table, limit = Table(Path(sys.argv[1]), 64), parse_limit("1000000/second", 64)
over = threading.Event()
def count():
    while not over.is_set():
        table.take([(limit, ("a",))])
threading.Thread(target=count).start()
for _ in range(100):
    child = os.fork()
    if not child:
        table.take([(limit, ("a",))])
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
over.set()
print("done")
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, tmp_path / "table"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("done\n", "")
