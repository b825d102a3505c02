"""What the operator's commands are made of, where something of the machine has run out or stands."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bascule_ops import proc
from bascule_ops.control.command_line import main
from bascule_ops.observe import checks, disks, memory, snapshot
from bascule_ops.observe.asking import SourceError, ask_all
from bascule_ops.observe.machine_checks import disk, served, spool

from tests.faults.cases import LOCAL
from tests.faults.matrix import rows
from tests.faults.stack import BrokenStack, may_mount
from tests.harness.tree import LIMIT
from tests.harness.waiting import wait_until
from tests.ops.observed import (
    PROCESSES,
    Parts,
    answer_request,
    disk_document,
    failed,
    healthy,
    look,
    parts,
    process_info,
)


@pytest.fixture
def stack() -> Iterator[Parts]:
    with healthy() as found:
        yield found


@pytest.fixture
def empty() -> Iterator[Parts]:
    with parts() as found:
        yield found


def remedies(document: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["remedy"] for check in document["checks"] if not check["ok"]}


@contextmanager
def named_process(name: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose command line says that it is that part of a stack."""
    words = [sys.executable, "-c", "import sys; sys.stdin.read()", name]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


# --- asking ------------------------------------------------------------------------------------


def test_an_answer_that_breaks_who_asked_is_told_in_words() -> None:
    def breaks() -> None:
        raise KeyError("no such key")

    answers = ask_all({"this": breaks, "that": lambda: 1}, 5)
    assert answers["that"] == 1
    assert str(answers["this"]) == "what it answers makes no sense: KeyError: 'no such key'"


def test_where_there_is_no_thread_each_question_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    (answer,) = ask_all({"this": lambda: 1}, 5).values()
    assert isinstance(answer, SourceError)
    assert "no thread, or no memory" in str(answer)


def test_a_full_place_for_temporary_files_is_no_reason_to_fail(
    stack: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_is_usable() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", none_is_usable)
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert failed(look(stack.settings)) == {}


def test_a_supervisord_that_speaks_nonsense_is_told(stack: Parts) -> None:
    (stack.directory / "supervisor.sock").unlink()
    stack.answer("supervisor.sock", lambda it: answer_request(it, b"SSH-2.0\r\n"))
    assert "does not speak XML-RPC" in failed(look(stack.settings))["supervisor"]


def test_a_check_that_breaks_says_so(stack: Parts) -> None:
    document = look(stack.settings)
    document["workers"][0]["descriptors"] = None  # another version's, perhaps
    found = [check for check in checks.check(document) if not check["ok"]]
    assert [check["name"] for check in found] == ["descriptors"]
    assert "cannot be judged: TypeError" in found[0]["message"]


# --- processes that stand still, load and drain --------------------------------------------------


def test_a_process_that_got_sigstop_is_named_with_the_command_that_frees_it(stack: Parts) -> None:
    with named_process(f"unix:{stack.directory}/worker-1.sock") as process:
        (stack.directory / "supervisord.pid").write_text(f"{process.pid}\n")
        assert failed(look(stack.settings)) == {}
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: proc.state(process.pid) == proc.STOPPED, "it to stop", limit=LIMIT)
        document = look(stack.settings)
        assert failed(document)["worker-1"].startswith(
            f"worker-1 is stopped (process {process.pid})"
        )
        assert remedies(document)["worker-1"] == f"kill -CONT {process.pid}"
        inside = look(dataclasses.replace(stack.settings, mode="docker"))
        command = f"docker compose exec server sh -c 'kill -CONT {process.pid}'"
        assert remedies(inside)["worker-1"] == command


def test_who_is_silent_because_it_is_stopped_is_said_to_be(empty: Parts) -> None:
    path = empty.directory / "worker-0.status"
    code = "import socket, sys; s = socket.socket(1); s.bind(sys.argv[1]); s.listen(); print(flush=True); s.accept()"
    words = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            process.stdout.readline()
            process.send_signal(signal.SIGSTOP)
            wait_until(lambda: proc.state(process.pid) == proc.STOPPED, "it to stop", limit=LIMIT)
            document = snapshot.take(empty.settings, 1)
            (worker,) = (each for each in document["workers"] if each["worker"] == "0")
            assert f"process {process.pid} is stopped (SIGSTOP)" in worker["error"]
            # Nothing answers, and it runs all the same.
            assert snapshot.runs(document)
        finally:
            process.kill()


@pytest.mark.parametrize("state", ["STARTING", "RUNNING"])
@pytest.mark.parametrize("is_left_over", [True, False])
def test_a_worker_that_loads_is_no_good_and_not_to_be_restarted(
    empty: Parts, state: str, is_left_over: bool
) -> None:
    empty.worker("0")
    empty.nginx()
    empty.counters()
    empty.supervisor([PROCESSES[0], process_info("worker-1", "bascule", state)])
    if is_left_over:  # of the process before it, which was killed
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(empty.directory / "worker-1.status"))
    document = look(empty.settings)
    assert failed(document)["worker-1"].startswith("worker-1 is loading its application")
    assert remedies(document)["worker-1"].startswith("wait")


def test_a_worker_that_drains_of_its_own_accord_is_no_good_and_not_to_be_restarted(
    empty: Parts,
) -> None:
    empty.worker("0")
    empty.worker("1", state="draining")
    empty.nginx()
    empty.counters()
    empty.supervisor(PROCESSES)
    document = look(empty.settings)
    assert failed(document)["worker-1"].startswith("worker-1 is draining (process 100)")
    assert remedies(document)["worker-1"].startswith("wait")


# --- disks, memory, nginx's spool, certificates --------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"free_files": 10}, "room for 10 more files"),
        ({"read_only": True}, "is mounted read-only"),
        ({"free_bytes": 0}, "has 0 MiB left"),
    ],
)
def test_a_disk_that_takes_nothing_more_is_told(changes: dict[str, Any], words: str) -> None:
    (found,) = disk({"disk": [disk_document(**changes)]})
    assert not found.ok
    assert words in found.message


def test_a_disk_without_a_limit_of_files_has_room(tmp_path: Path) -> None:
    (found,) = disk({"disk": [disk_document(free_files=0, total_files=0)]})
    assert found.ok
    (read,) = disks.read((tmp_path,))
    assert read["path"] == str(tmp_path)


def test_an_nginx_that_cannot_keep_an_upload_is_told(stack: Parts) -> None:
    assert look(stack.settings)["spool"] == {"works": True, "status": "200"}
    (found,) = spool({"spool": {"works": False, "status": "500"}})
    assert not found.ok
    assert list(spool({"spool": None})) == []


def test_another_certificate_than_the_files_is_told_with_the_remedy() -> None:
    document = {
        "errors": {"served certificate": None},
        "served_certificate": {"is_in_file": False, "days_left": -1.0},
    }
    (found,) = served(document)
    assert "the one that it serves has expired" in found.message
    assert "certificate reload" in found.remedy


def cgroup(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")


def test_memory_is_read_from_cgroups_of_version_2(tmp_path: Path) -> None:
    root, processes = tmp_path / "cgroup", tmp_path / "proc"
    cgroup(processes, {"7/cgroup": "0::/outer/inner"})
    cgroup(
        root,
        {
            "cgroup.controllers": "memory pids",
            "outer/memory.current": "900",
            "outer/memory.max": "1000",
            "outer/memory.stat": "anon 1\ninactive_file 100",
            "outer/memory.events": "oom 9\noom_kill 9",
            "outer/inner/memory.current": "500",
            "outer/inner/memory.max": "max",
            "outer/inner/memory.events": "oom 3\noom_kill 2",
        },
    )
    wanted = {"used_bytes": 800, "limit_bytes": 1000, "oom_kills": 2}
    assert memory.read(7, root, processes) == wanted


def test_memory_is_read_from_cgroups_of_version_1(tmp_path: Path) -> None:
    root, processes = tmp_path / "cgroup", tmp_path / "proc"
    # A container sees its group as the top, by the machine's name.
    cgroup(processes, {"7/cgroup": "5:cpu:/\n4:memory:/docker/0123"})
    cgroup(
        root / "memory",
        {
            "memory.usage_in_bytes": "900",
            "memory.limit_in_bytes": "1000",
            "memory.stat": "cache 200\ntotal_inactive_file 200",
            "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1",
        },
    )
    wanted = {"used_bytes": 700, "limit_bytes": 1000, "oom_kills": 1}
    assert memory.read(7, root, processes) == wanted
    cgroup(root / "memory", {"memory.limit_in_bytes": "9223372036854771712"})
    found = memory.read(7, root, processes)
    assert found
    assert found["limit_bytes"] is None


def test_where_the_kernel_counts_no_memory_there_is_none(tmp_path: Path) -> None:
    cgroup(tmp_path / "proc", {"7/cgroup": "0::/"})
    cgroup(tmp_path / "cgroup", {"cgroup.controllers": ""})
    assert memory.read(7, tmp_path / "cgroup", tmp_path / "proc") is None


# --- the command line ----------------------------------------------------------------------------


def basculectl(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "bascule_ops", *words],
        text=True,
        stderr=subprocess.PIPE,
        check=False,
        **options,
    )


def test_what_cannot_be_written_is_said_and_is_no_success(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = basculectl("completion", "bash", stdout=full, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "basculectl completion: cannot write what it says: No space left on device\n"
    )


def test_closed_streams_are_no_reason_to_break(tmp_path: Path) -> None:
    command = f"{sys.executable} -P -m bascule_ops status <&- >&-"
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=tmp_path,
        env={**os.environ, "PATH": str(tmp_path)},  # an engine may take its time to answer
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "does not run" in done.stderr


def test_a_fault_of_its_own_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setenv("BASCULECTL_DOOR", "basculectl ")  # main sets it, for this process
    monkeypatch.setattr("bascule_ops.control.health.find", breaks)
    assert main(["--project", str(tmp_path), "health"]) == 1
    told = capsys.readouterr().err
    assert "health: it broke" in told
    assert "can't start new thread" in told


def test_an_engine_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\nexec sleep 600\n")
    docker.chmod(0o755)
    (tmp_path / "compose.yaml").touch()
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = basculectl(
        "status", cwd=tmp_path, stdout=subprocess.PIPE, env=os.environ | {"PATH": path}, timeout=30
    )
    assert done.returncode == 1
    assert "the container engine does not answer within 3 s" in done.stderr


# --- a whole stack -------------------------------------------------------------------------------

# Of the table (tests/faults/run asks for all of it): one that stands, one that is full, one that
# is dead, and the commands that such a thing broke.
IN_CI = ("a worker is stopped", "supervisord is killed", "the run directory's disk is full")
ASKED_IN_CI = ("status", "running", "top", "logs", "logs --rotate", "block", "/-/metrics")


@pytest.mark.integration
def test_every_command_answers_in_words_and_in_time_whatever_is_broken(venv: Path) -> None:
    has_disk = may_mount()
    stack = BrokenStack(venv, has_disk=has_disk)
    try:
        wrong = [
            (row.fault, row.command, row.faults, row.output)
            for fault in LOCAL
            if fault.name in IN_CI and (has_disk or not fault.needs_disk)
            for row in rows(stack, fault, ASKED_IN_CI)
            if row.faults
        ]
    finally:
        stack.remove()
    assert wrong == []
