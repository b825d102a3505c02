"""tests/bench/run: what it reads, how it counts, and one short run of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from tests.bench import (
    api_clients,
    arguments,
    browsers,
    load,
    machine,
    mixed,
    native,
    processes,
    runner,
    spread,
)
from tests.bench.install import LOCKS, locked_version, reason
from tests.bench.peers import PEERS
from tests.harness.nginx import Nginx, binaries
from tests.harness.processes import Process, is_alive, tree
from tests.harness.tree import LIMIT
from tests.harness.waiting import wait_until

ROOT = Path(__file__).parents[2]
INSTALL_LIMIT = 600  # seconds; the first of these tests installs what tests/bench/run needs


@pytest.mark.parametrize("output", [["--output", "/anywhere"], ["--output=/anywhere"], []])
def test_what_reproduces_figures_does_not_say_where_they_went(output: list[str]) -> None:
    asked = ["--only", "traffic", *output, "--rounds", "3", "--quick"]
    assert arguments.without_output(asked) == ["--only", "traffic", "--rounds", "3", "--quick"]


def test_processor_time_is_read_from_a_process_whose_name_has_parentheses() -> None:
    stat = "7 (a b) (c)) S 1 7 7 0 -1 4194560 1 0 0 0 30 20 4 6 20 0 1 0 5 0 0"
    assert processes.ticks_of_ended_children(stat) == 10


def test_processor_time_is_finer_than_a_tick() -> None:
    before = processes.cpu_us([os.getpid()])
    own = time.process_time_ns()
    while time.process_time_ns() - own < 2_000_000:
        pass
    assert 2000 <= processes.cpu_us([os.getpid()]) - before < 10_000


def test_processor_time_of_a_process_that_has_ended_is_none() -> None:
    with Process(["true"]) as process:
        process.wait(LIMIT)
    assert processes.cpu_us([process.pid]) == 0


@pytest.mark.parametrize("then", ["sleep 60", "true"])
def test_processor_time_of_a_server_counts_its_children(tmp_path: Path, then: str) -> None:
    """Whether they run or have ended."""
    busy = "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done"
    command = ["sh", "-c", f"({busy}; {then}) & wait; sleep 60"]
    with processes.Server(command, "127.0.0.1:1", tmp_path / "log") as server:
        server.wait_until(lambda: server.cpu_us() >= 50_000, "some work", limit=LIMIT)


def test_ending_a_server_ends_its_children(tmp_path: Path) -> None:
    command = ["sh", "-c", "sleep 60 & wait"]
    with processes.Server(command, "127.0.0.1:1", tmp_path / "log") as server:
        _, child = server.wait_until(
            lambda: len(pids := server.pids()) == 2 and pids, "a child", limit=LIMIT
        )
    wait_until(lambda: not is_alive(child), "the child's end", limit=LIMIT)


def test_a_process_that_nothing_keeps_is_ended_with_those_under_it() -> None:
    interrupted = """
import subprocess
from tests.bench.processes import none_left
try:
    with none_left():
        started = subprocess.Popen(["sh", "-c", "sleep 600 & echo $! $$; wait"], stdout=-1)
        print(started.stdout.readline().decode(), flush=True)
        orphan = "setsid sleep 600 >/dev/null & echo $!"
        print(subprocess.check_output(["sh", "-c", orphan]).decode(), flush=True)
        raise KeyboardInterrupt
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run(
        [sys.executable, "-c", interrupted],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=20,
    )
    *pids, told = done.stdout.split()
    assert told == "interrupted"
    assert len(pids) == 3
    wait_until(lambda: not any(is_alive(int(pid)) for pid in pids), "the end of all", limit=LIMIT)


def test_a_server_that_ends_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo no such thing; exit 3"]
    with (
        processes.Server(command, "127.0.0.1:1", tmp_path / "log") as server,
        pytest.raises(processes.StartError, match=r"ended with status 3: no such thing"),
    ):
        server.wait_until_it_answers()


def test_proportional_memory_is_read_in_bytes() -> None:
    assert (
        processes.pss("00400000-7ff [rollup]\nRss: 900 kB\nPss:   25 kB\nPss_Anon: 3 kB\n") == 25600
    )


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


RESULT = (
    'RESULT {"requests":101,"in_time":100,"seconds":2.0,"bytes":9,"errors":1,"sent":101,"p50_us":100,'
    '"p99_us":2500,"apart":%d,"apart_p50_us":50000,"apart_p99_us":60000}\n'
)


def test_a_load_is_read_from_its_last_line() -> None:
    found = load.parse(f"Replaying ...\n{RESULT % 0}")
    assert (found.requests_per_second, found.errors, found.p99_us, found.sent) == (
        *(50.0, 1, 2500, 101),
    )


def test_a_load_of_two_kinds_is_read_apart() -> None:
    figures = mixed.figures(load.parse(RESULT % 10))
    assert figures["fast_p99_ms"] == 2.5
    assert figures["slow_p99_ms"] == 60.0
    assert figures["requests_per_second"] == 50.0


def test_a_load_whose_fast_requests_nobody_answered_is_an_error() -> None:
    with pytest.raises(load.LoadError, match="no fast request"):
        mixed.figures(load.parse(RESULT % 101))


def test_a_load_without_a_result_is_an_error_with_its_words() -> None:
    with pytest.raises(load.LoadError, match="connect: Connection refused"):
        load.parse("", "load: connect: Connection refused\n")


def test_peak_memory_is_read_in_bytes() -> None:
    assert (
        processes.peak("VmPeak:\t 9 kB\nVmHWM:\t    2048 kB\nVmRSS:\t 10 kB\n") == 2 * 1024 * 1024
    )


def test_a_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(native.MissingToolError, match=r"needs no-such-program.*apt-get install x"):
        native.require("no-such-program", "x")


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (["--only", "helo"], "'helo' is none of traffic"),
        (["--servers", "apache"], "'apache' is none of bascule"),
        (["--servers", "before"], "the server 'before' needs --before COMMIT"),
        (["--rounds", "0"], "'0' is no whole number from 1 up"),
        (["--seconds", "0.01"], "'0.01' is no number from 0.1 to 60"),
    ],
)
def test_a_wrong_argument_is_refused_in_one_line(
    given: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments.parse(given)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_only_a_whole_run_replaces_the_committed_figures() -> None:
    assert arguments.parse([]).output == arguments.OUTPUT
    for part in (["--quick"], ["--only", "hello"], ["--servers", "bascule,bjoern"]):
        assert arguments.parse(part).output is None
    assert arguments.parse(["--quick", "--output", "somewhere"]).output == Path("somewhere")


def test_traffic_is_what_nginx_forwards(nginx: Nginx) -> None:
    """Of a site's requests and an API's, with bodies and without, in either spelling."""
    chosen = [*islice(browsers.requests(1, 60), 60), *islice(api_clients.requests(1, 30), 30)]
    assert {each.method for each in chosen} >= {"GET", "POST"}
    assert {each.lower_case for each in chosen} == {True, False}
    for request in chosen:
        with socket.create_connection(("127.0.0.1", nginx.port)) as client:
            client.sendall(request.sent())
            assert client.recv(1)
    for request, seen in zip(chosen, nginx.upstreams[0].seen, strict=True):
        fields = "".join(f"{name}: {value}\r\n" for name, value in seen["fields"])
        message = f"{seen['line']}\r\n{fields}\r\n".encode("latin-1")
        request_id = dict(seen["fields"])["X-Request-ID"]
        assert len(request_id) == 32
        expected = replace(request, address="127.0.0.1").forwarded(request_id)
        assert message == expected.removesuffix(request.body)


@pytest.fixture
def nginx() -> Iterator[Nginx]:
    """The stack's nginx before one worker's stand-in."""
    with Nginx(binaries()[0], WORKERS="1") as running:
        running.upstream("worker-0.sock")
        yield running


@pytest.fixture(scope="module")
def bench() -> str:
    """tests/bench/run, its virtual environment made."""
    subprocess.run(["tests/bench/run", "--help"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return "tests/bench/run"


@pytest.mark.integration
@pytest.mark.timeout(INSTALL_LIMIT)
def test_an_interrupted_run_leaves_no_server(bench: str, tmp_path: Path) -> None:
    command = [bench, "--seconds", "30", "--servers", "bascule", "--only", "hello"]
    with Process([*command, "--output", tmp_path]) as process:
        # Two servers: the one that is tried first ends, the second is under measurement.
        while "measurements" not in process.read_line(LIMIT):
            pass
        servers = process.wait_until(
            lambda: children(process.pid, "-m\0bascule"), "the server that is measured", limit=LIMIT
        )
        process.signal(signal.SIGINT)
        status, output = process.wait(20), process.out
    assert status == 130
    assert "Interrupted" in output
    assert [pid for pid in servers if is_alive(pid)] == []
    assert list(tmp_path.iterdir()) == []


def children(parent: int, command: str) -> list[int]:
    """The processes under `parent` that run a command."""
    found = []
    for pid in tree(parent):
        try:
            if command in Path(f"/proc/{pid}/cmdline").read_text():
                found.append(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@pytest.mark.integration
@pytest.mark.timeout(INSTALL_LIMIT)
def test_a_quick_run_measures_and_writes_what_it_found(bench: str, tmp_path: Path) -> None:
    command = [bench, "--quick", "--servers", "bascule,floor", "--only", "hello,mixed"]
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
    assert found["scenarios"]["mixed"]["servers"]["bascule"]["fast_p99_ms"]["median"] > 0
    assert {each["subject"] for each in found["aims"] if each["met"] is not None} == set()
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".svg", ".png"}
    cells = found["scenarios"]["hello"]["servers"]
    assert list(cells) == ["bascule", "floor"]
    for cell in cells.values():
        assert cell["errors"]["median"] == 0
        assert cell["requests_per_second"]["median"] > 100
        assert cell["cpu_us"]["median"] > 0
