"""How the harness starts a process, listens to it and ends it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM

import pytest

from tests.harness.processes import EndedError, Process, is_alive
from tests.harness.waiting import NotInTimeError, wait_until

pytestmark = pytest.mark.integration


def shell(script: str) -> Process:
    return Process(["sh", "-c", script])


def test_what_it_writes_is_kept_apart_and_outlives_it() -> None:
    with shell("echo said; echo complained >&2; exit 3") as process:
        assert process.wait() == 3
    assert (process.out, process.err) == ("said\n", "complained\n")
    assert (process.status, process.is_running()) == (3, False)


def test_a_log_has_both_streams(tmp_path: Path) -> None:
    with Process(["sh", "-c", "echo said; echo complained >&2"], log=tmp_path / "log") as process:
        process.wait()
    assert (tmp_path / "log").read_text() == process.out == "said\ncomplained\n"


def test_lines_are_read_one_after_another_and_only_whole() -> None:
    with Process(["cat"], stdin=subprocess.PIPE) as process:
        process.tell("first\nsecond\nthi")
        assert [process.read_line(), process.read_line()] == ["first\n", "second\n"]
        with pytest.raises(NotInTimeError, match="cat wrote:\nfirst\nsecond\nthi"):
            process.read_line(0.05)
        process.tell("rd\n")
        assert process.read_line() == "third\n"
        process.end_input()
        assert process.wait() == 0


def test_a_wait_ends_with_the_process_and_says_what_it_said() -> None:
    with shell("echo no such database >&2; exit 1") as process:
        ended = r"sh ended with status 1 before an answer: no such database"
        with pytest.raises(EndedError, match=ended):
            process.wait_until(lambda: False, "an answer")
        with pytest.raises(EndedError, match=ended):
            process.wait_until(lambda: 1 // 0, "an answer", passing=(ArithmeticError,))


def test_what_it_did_last_counts() -> None:
    with shell("echo done") as process:
        process.wait()
        assert process.read_line() == "done\n"


def test_the_end_of_the_block_ends_it_with_all_that_is_below_it() -> None:
    with shell("sleep 600 & trap '' TERM INT; echo $!; sleep 600 & wait; wait") as process:
        child = int(process.read_line())
        assert process.pids()[0] == process.pid
        assert child in process.pids()
        process.signal(SIGINT)
        with pytest.raises(NotInTimeError, match="the end of sh"):
            process.wait(0.05)
        assert process.stop(0.05) == -SIGKILL
    wait_until(lambda: not is_alive(child), "the end of the child")
    process.signal(SIGTERM)  # whoever has its id now is left alone


def test_a_group_is_signalled_as_a_whole() -> None:
    code = "import subprocess, sys; print(flush=True); subprocess.run(['sleep', '600'])"
    with Process([sys.executable, "-c", code]) as process:
        process.read_line()
        process.wait_until(lambda: len(process.pids()) == 2, "its child")
        process.signal_group(SIGINT)
        assert process.wait() == -SIGINT
        assert "KeyboardInterrupt" in process.err
