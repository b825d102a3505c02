"""``--pid``: the file is there while the process serves, and tells which one it is."""

from __future__ import annotations

import os
import signal

import pytest

from tests.harness.waiting import wait_until

from .project import HELLO, names_in, project, served

FORKS = """
import os, time
child = os.fork()
if not child:
    while True:
        time.sleep(60)
open("child", "w").write(str(child))
"""


@pytest.mark.parametrize(
    "left_behind", [None, "1\n", "4194305\n", "a longer text of something else"]
)
def test_it_is_written_once_it_serves_and_removed_at_the_end(left_behind: str | None) -> None:
    with project(HELLO, "-p", "its.pid") as server:
        if left_behind:
            (server.directory / "its.pid").write_text(left_behind)
        server.start_there()
        server.wait_until_it_answers()
        wait_until(
            lambda: (server.directory / "its.pid").read_text() == f"{server.pid}\n", "its number"
        )
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert names_in(server.directory) == set()


def test_a_file_that_a_running_process_has_is_left_to_it() -> None:
    with served(HELLO, "--pid", "its.pid") as server, project(HELLO, "--pid", "its.pid") as other:
        other.start_there(directory=server.directory)
        assert other.wait() == 3
        path = server.directory / "its.pid"
        assert other.err == f"bascule: --pid: process {server.pid} runs with {path}\n"
        assert path.read_text() == f"{server.pid}\n"
        server.wait_until_it_answers()


def test_what_a_killed_process_left_behind_is_taken_even_if_its_child_lives() -> None:
    with served(FORKS + HELLO, "--pid", "its.pid") as server:
        server.signal(signal.SIGKILL)
        server.wait()
        with project(HELLO, "--pid", "its.pid") as other:
            other.address = server.address
            other.start_there(directory=server.directory)
            other.wait_until_it_answers()
            assert (server.directory / "its.pid").read_text() == f"{other.pid}\n"
        os.kill(int((server.directory / "child").read_text()), signal.SIGKILL)


def test_a_start_that_fails_leaves_none() -> None:
    with project("raise ValueError", "--pid", "its.pid") as server:
        server.start_there()
        assert server.wait() == 4
        assert names_in(server.directory) == set()


def test_where_it_cannot_be_written_the_start_is_refused() -> None:
    with project(HELLO, "--pid", "nowhere/its.pid") as server:
        server.start_there()
        assert server.wait() == 3
        path = server.directory / "nowhere" / "its.pid"
        assert server.err == f"bascule: --pid: cannot write {path}: No such file or directory\n"


def test_events_go_to_the_error_log_and_sigusr1_opens_it_anew() -> None:
    with served(HELLO, "--error-logfile", "error.log") as server:
        log = server.directory / "error.log"
        assert "Serving site_:application" in log.read_text()
        log.rename(server.directory / "error.log.1")
        server.signal(signal.SIGUSR1)
        wait_until(log.exists, "the new file")
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert "Stopped" in log.read_text()
        assert server.err == ""
