"""ops/bench: what it reads, how it counts, and one short run of it."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
from pathlib import Path

import pytest

from ops.benchmark import machine, processes, runner, spread, wrk
from ops.benchmark.install import LOCKS, locked_version, reason
from ops.benchmark.peers import PEERS

ROOT = Path(__file__).parents[2]


def test_processor_time_is_read_from_a_process_whose_name_has_parentheses() -> None:
    stat = "7 (a b) (c)) S 1 7 7 0 -1 4194560 1 0 0 0 30 20 4 6 20 0 1 0 5 0 0"
    assert processes.cpu_ticks(stat) == 60


def test_processor_time_of_a_server_counts_its_children(tmp_path: Path) -> None:
    busy = "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done"
    command = ["sh", "-c", f"({busy}; sleep 60) & wait"]
    with processes.Server(command, "127.0.0.1:1", tmp_path / "log", core=None) as server:
        own = server.pids()[0]
        while server.cpu_us() < 50_000:
            assert server.is_running()
        assert len(server.pids()) >= 2
        assert processes.cpu_ticks(Path(f"/proc/{own}/stat").read_text()) <= 2


def test_ending_a_server_ends_its_children(tmp_path: Path) -> None:
    command = ["sh", "-c", "sleep 60 & wait"]
    with processes.Server(command, "127.0.0.1:1", tmp_path / "log", core=None) as server:
        while len(server.pids()) < 2:
            assert server.is_running()
        child = server.pids()[1]
    status = Path(f"/proc/{child}/status")
    while status.exists() and "State:\tZ" not in status.read_text():
        pass


def test_a_server_that_ends_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo no such thing; exit 3"]
    with (
        processes.Server(command, "127.0.0.1:1", tmp_path / "log", core=None) as server,
        pytest.raises(processes.StartError, match=r"ended with status 3: no such thing"),
    ):
        server.wait_until_it_answers()


def test_proportional_memory_is_read_in_bytes() -> None:
    assert (
        processes.pss("00400000-7ff [rollup]\nRss: 900 kB\nPss:   25 kB\nPss_Anon: 3 kB\n") == 25600
    )


def test_a_run_of_wrk_is_read_from_its_last_line() -> None:
    output = 'Running ...\nRESULT {"requests":100,"seconds":2.0,"bytes":9,"errors":1,"p50_us":3,"p99_us":4}\n'
    load = wrk.parse(output)
    assert (load.requests_per_second, load.errors, load.p99_us) == (50.0, 1, 4)


def test_a_run_of_wrk_without_a_result_is_an_error_with_its_words() -> None:
    with pytest.raises(wrk.LoadError, match="unable to connect"):
        wrk.parse("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_text_for_lua_has_no_character_that_lua_reads_otherwise() -> None:
    assert wrk.lua_string('a"\\\r\n') == '"\\097\\034\\092\\013\\010"'


def test_each_round_another_server_goes_first() -> None:
    turns = [runner.rotated(["a", "b", "c"], turn) for turn in range(4)]
    assert turns == [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"], ["a", "b", "c"]]


def test_a_spread_is_the_median_with_the_least_and_the_greatest() -> None:
    assert spread.spread([5.0, 1.0, 3.0]) == spread.Spread(3.0, 1.0, 5.0)


def test_a_ratio_is_taken_within_a_round_and_passes_over_failed_ones() -> None:
    # The machine was twice as slow in the second round, for both.
    assert spread.paired_ratio([1.0, 2.0, None, 9.0], [2.0, 4.0, 7.0, None]) == 0.5


def test_a_ratio_of_nothing_is_an_error() -> None:
    with pytest.raises(statistics.StatisticsError):
        spread.paired_ratio([None], [1.0])


def test_the_processor_is_named_by_its_model() -> None:
    assert machine.processor("processor\t: 0\nmodel name\t: Some CPU @ 2\n") == "Some CPU @ 2"


def test_every_peer_is_locked_by_version() -> None:
    for peer in PEERS.values():
        if peer.distribution:
            lock = LOCKS / f"{peer.lock or 'bench'}.txt"
            assert locked_version(lock, peer.distribution), peer.name


def test_the_reason_why_a_peer_does_not_build_is_the_compilers_error() -> None:
    output = (
        "  error: subprocess-exited-with-error\n"
        "  bjoern/server.c:1:10: fatal error: ev.h: No such file or directory\n"
        "  error: command 'gcc' failed\n"
    )
    assert reason(output) == ("bjoern/server.c:1:10: fatal error: ev.h: No such file or directory")


@pytest.mark.integration
def test_a_quick_run_measures_and_writes_what_it_found(tmp_path: Path) -> None:
    if shutil.which("wrk") is None and os.environ.get("CI") != "true":
        pytest.skip("wrk is not installed (Debian: apt-get install wrk)")
    command = ["ops/bench", "--quick", "--servers", "bascule,floor", "--only", "hello"]
    done = subprocess.run(
        [*command, "--output", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "LEFT OUT" not in done.stdout
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["left_out"] == {}
    cells = found["scenarios"]["hello"]["servers"]
    assert list(cells) == ["bascule", "floor"]
    for cell in cells.values():
        assert cell["errors"]["median"] == 0
        assert cell["requests_per_second"]["median"] > 100
        assert cell["cpu_us"]["median"] > 0
