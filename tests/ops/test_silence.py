"""Who says nothing: asked are real processes, and time passes when the test says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from bascule_ops import proc
from bascule_ops.supervision.client import ProcessInfo, State
from bascule_ops.supervision.silence import LOOKS, Silence, unanswering

from tests.harness.waiting import wait_until

SOON = 0.2  # seconds
LATE = 20.0
# As a worker's status socket; "traced" is held by the process that started it, as by a debugger.
WORKER = """
import contextlib, ctypes, signal, socket, sys
path, backlog, is_traced = sys.argv[1], int(sys.argv[2]), sys.argv[3:] == ["traced"]
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(path)
    listener.listen(backlog)
    print("listens", flush=True)
    if is_traced:
        ctypes.CDLL(None).ptrace(0, 0, 0, 0)  # PTRACE_TRACEME
        signal.raise_signal(signal.SIGSTOP)
    while True:
        client, _ = listener.accept()
        with client, contextlib.suppress(OSError):  # nobody waits for it any more
            client.sendall(b"well")
"""


class Workers:
    """Processes that answer how they are, in a directory."""

    def __init__(self, run_dir: Path, stack: ExitStack) -> None:
        self.run_dir = run_dir
        self._stack = stack

    def start(self, number: int, *words: str, backlog: int = 16) -> ProcessInfo:
        path = self.run_dir / f"worker-{number}.status"
        path.unlink(missing_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, path, str(backlog), *words], stdout=subprocess.PIPE
        )
        self._stack.enter_context(process)
        # Not process.kill(), for which one that is stopped under a tracer has ended.
        self._stack.callback(os.kill, process.pid, signal.SIGKILL)
        assert process.stdout
        assert process.stdout.readline() == b"listens\n"
        return info(number, process.pid)


def info(number: int, pid: int) -> ProcessInfo:
    return ProcessInfo(
        group="bascule", name=f"successor-{number}", pid=pid, state=State.RUNNING,
        statename="RUNNING", spawnerr="", exitstatus=0, start=0, stop=0, now=0,
    )  # fmt: skip


def stop(process: ProcessInfo) -> None:
    os.kill(process["pid"], signal.SIGSTOP)
    wait_until(lambda: proc.state(process["pid"]) == proc.STOPPED, "it to stop")


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    with ExitStack() as stack:
        yield Workers(tmp_path, stack)


def test_who_is_stopped_does_not_answer_and_others_do(workers: Workers) -> None:
    first, second = (workers.start(number) for number in range(2))
    assert unanswering(workers.run_dir, [first, second], LATE) == set()
    stop(second)
    assert unanswering(workers.run_dir, [first, second], SOON) == {second["pid"]}
    os.kill(second["pid"], signal.SIGCONT)
    assert unanswering(workers.run_dir, [first, second], LATE) == set()


def test_nor_does_who_has_no_room_for_a_question(workers: Workers) -> None:
    full = workers.start(0, backlog=0)
    stop(full)
    for _ in range(3):  # each waits to be accepted
        assert unanswering(workers.run_dir, [full], SOON) == {full["pid"]}


def test_who_loads_or_has_ended_or_is_another_s_predecessor_is_not_silent(
    workers: Workers,
) -> None:
    loads = info(0, os.getpid())  # it has no socket
    ended = workers.start(1)
    os.kill(ended["pid"], signal.SIGKILL)
    before = workers.start(2)
    stop(before)
    after = info(2, os.getpid())  # it has not taken the path over yet
    assert unanswering(workers.run_dir, [loads, ended, after, info(3, 0)], LATE) == set()


def test_whom_a_debugger_holds_is_not_asked(workers: Workers) -> None:
    held = workers.start(0, "traced")
    wait_until(lambda: proc.state(held["pid"]) == proc.TRACED, "it to be held")
    assert unanswering(workers.run_dir, [held], LATE) == set()


@pytest.fixture
def clock() -> list[float]:
    return [1000.0]


def look(
    silence: Silence, workers: Workers, clock: list[float], at: float, *infos: ProcessInfo
) -> list[int]:
    clock[0] = 1000.0 + at
    return silence.look(workers.run_dir, infos)


def test_one_is_silent_that_has_answered_nothing_for_the_limit(
    workers: Workers, clock: list[float]
) -> None:
    process = workers.start(0)
    silence = Silence(1.0, lambda: clock[0])

    def ask(at: float) -> list[int]:
        return look(silence, workers, clock, at, process)

    assert ask(0.0) == []
    stop(process)
    for number in range(LOOKS):
        assert ask(0.5 + number / 100) == []
    assert ask(1.5) == [process["pid"]]
    os.kill(process["pid"], signal.SIGCONT)
    assert ask(2.0) == []
    stop(process)
    assert ask(9.0) == ask(11.0) == []  # the limit is over, but it was not asked often enough


def test_where_there_is_no_limit_nobody_is_silent(workers: Workers, clock: list[float]) -> None:
    process = workers.start(0)
    stop(process)
    silence = Silence(0.0, lambda: clock[0])
    assert look(silence, workers, clock, 0.0, process) == []
    assert look(silence, workers, clock, 1e6, process) == []
