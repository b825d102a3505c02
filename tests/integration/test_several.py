"""``--workers N``: several processes behind one address, and how they are restarted and end."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.client import Client
from tests.harness.ports import free_port, listen
from tests.harness.servers import ServerProcess
from tests.harness.waiting import wait_until

from .project import ProjectServer, names_in, project
from .requests import get

SITE = """
import os
def application(environ, start_response):
    if environ["PATH_INFO"] == "/end":
        os._exit(1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"{} %d" % os.getpid()]
"""
NUMBER = 3


@contextlib.contextmanager
def several(*arguments: str) -> Iterator[ProjectServer]:
    port = free_port()
    options = ("--bind", str(port), "-w", str(NUMBER), "--pid", "its.pid", *arguments)
    with project(SITE.format("one"), *options) as server:
        server.address = ("127.0.0.1", port)
        server.start_there()
        wait_until(lambda: server.err.count("Serving ") == NUMBER, "all serve")
        yield server


def asked(server: ProjectServer) -> list[str]:
    with Client(server.address) as client:
        return client.request(get("/", "Connection: close")).body.decode().split()


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_they_share_an_address_and_end_together() -> None:
    with several() as server:
        wait_until(lambda: len({asked(server)[1] for _ in range(20)}) > 1, "several answer")
        assert (server.directory / "its.pid").read_text() == f"{server.pid}\n"
        for number in range(NUMBER):
            assert f"[{number}] Serving site_:application on http://127.0.0.1:" in server.err
        started = children(server.pid)
        server.signal(signal.SIGTERM)
        assert server.wait(20) == 0
        assert names_in(server.directory) == set()
        for pid in started:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


def test_sighup_brings_the_new_code_in_and_refuses_nobody() -> None:
    with several() as server:
        (server.directory / "site_.py").write_text(SITE.format("another"))
        is_over = threading.Event()
        failures: list[BaseException] = []

        def ask() -> None:
            while not is_over.is_set():
                try:
                    asked(server)
                except BaseException as error:
                    failures.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            server.signal(signal.SIGHUP)
            wait_until(lambda: server.err.count("Serving ") == 2 * NUMBER, "all anew", limit=60)
        finally:
            is_over.set()
            thread.join()
        assert failures == []
        assert {asked(server)[0] for _ in range(20)} == {"another"}


def test_a_sighup_while_they_are_restarted_brings_in_what_came_since() -> None:
    with several() as server:
        (server.directory / "site_.py").write_text(SITE.format("another"))
        server.signal(signal.SIGHUP)
        wait_until(lambda: server.err.count("Serving ") == NUMBER + 1, "one anew", limit=60)
        (server.directory / "site_.py").write_text(SITE.format("the last"))
        server.signal(signal.SIGHUP)
        wait_until(lambda: server.err.count("Serving ") == 3 * NUMBER, "all twice", limit=90)
        assert {asked(server)[0] for _ in range(20)} == {"the"}


def test_at_sighup_code_that_does_not_load_leaves_the_others_serving() -> None:
    with several() as server:
        (server.directory / "site_.py").write_text("raise ValueError('not yet')\n")
        server.signal(signal.SIGHUP)
        wait_until(lambda: "does not start again" in server.err, "it is told", limit=60)
        assert "bascule: bascule:worker-0 does not start again, so the others go on" in server.err
        assert {asked(server)[0] for _ in range(20)} == {"one"}


def test_one_that_ends_is_started_again() -> None:
    with several() as server:
        with contextlib.suppress(Exception), Client(server.address) as client:
            client.request(get("/end"))
        wait_until(lambda: server.err.count("Serving ") == NUMBER + 1, "another one", limit=60)
        assert asked(server)[0] == "one"


def test_when_none_serves_any_more_it_ends_with_the_reason() -> None:
    with several() as server:
        (server.directory / "site_.py").write_text("raise ValueError('never again')\n")
        for pid in children(server.pid):
            if b"fd://0" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        assert server.wait(60) == 1
        last = server.err.splitlines()[-1]
        assert last.startswith("bascule: nothing serves any more: bascule:worker-")
        assert "never again" in last


def test_sigusr1_has_each_open_its_log_anew() -> None:
    with several("--access-logfile", "access.log") as server:
        log = server.directory / "access.log"
        asked(server)
        wait_until(log.read_text, "a line")
        log.rename(server.directory / "access.log.1")
        server.signal(signal.SIGUSR1)
        wait_until(log.exists, "the new file")
        wait_until(lambda: asked(server) and log.read_text(), "a line of it")
        assert server.is_running()


def test_what_they_write_reaches_a_journal_that_is_a_socket() -> None:
    ours, theirs = socket.socketpair()
    with project(SITE.format("one"), "-w", "2", "--access-logfile", "-") as server, ours:
        with theirs:
            process = subprocess.Popen(
                server.argv, cwd=server.directory, stdout=theirs, stderr=theirs
            )
        said = ""

        def has_said(*texts: str) -> bool:
            nonlocal said
            said += ours.recv(65536, socket.MSG_DONTWAIT).decode()
            return all(said.count(text) >= 2 for text in texts)

        try:
            wait_until(lambda: has_said("Serving "), "both serve", passing=(BlockingIOError,))
            asked(server)
            asked(server)
            wait_until(lambda: has_said('"GET / '), "a line each", passing=(BlockingIOError,))
        finally:
            process.terminate()
            assert process.wait(20) == 0
        while data := ours.recv(65536):
            said += data.decode()
        assert said.count("Stopped\n") == 2


def test_a_unix_socket_is_there_for_the_group_and_removed_at_the_end() -> None:
    with project(SITE.format("one"), "-w", "2") as server:
        server.start_there()
        wait_until(lambda: server.err.count("Serving ") == 2, "both serve")
        path = server.directory / "app.sock"
        assert path.stat().st_mode & 0o777 == 0o660
        assert asked(server)[0] == "one"
        server.signal(signal.SIGTERM)
        assert server.wait(20) == 0
        assert not path.exists()


@pytest.mark.parametrize(
    ("source", "arguments", "status", "said"),
    [
        ("raise ValueError('no')", (), 4, "bascule: cannot load site_:application: ValueError: no"),
        ("", ("--workers=none",), 2, "bascule: --workers must be a whole number from 1 up"),
        ("", ("-b", ":1", "-b", ":2"), 2, "bascule: --workers 2: they share one address, not "),
        (SITE.format(""), ("--pid", "/no/pid"), 3, "bascule: --pid: cannot write /no/pid: No such"),
        ("", ("--status-socket", "s"), 2, "bascule: --workers 2: --status-socket is of one"),
    ],
)
def test_what_cannot_be_started_is_said_once_and_ends_with_its_own_status(
    source: str, arguments: tuple[str, ...], status: int, said: str
) -> None:
    bind = () if "-b" in arguments else ("--bind", "unix:app.sock")
    with project(source, "--bind", "0", "-w", "2") as server:
        at = server.argv.index("--bind")
        server.argv[at : at + 2] = bind
        server.argv[-1:-1] = arguments
        server.start_there()
        assert server.wait(20) == status
        assert server.err.splitlines()[-1].startswith(said)
        assert server.err.count("bascule: ") == 1
        assert names_in(server.directory) == set()


def test_those_that_have_served_their_number_are_replaced_for_ever() -> None:
    with project(SITE.format("one"), "-w", "2", "--max-requests", "2") as server:
        server.start_there()
        wait_until(lambda: server.err.count("Serving ") == 2, "both serve")
        for _ in range(30):
            assert asked(server)[0] == "one"
        server.signal(signal.SIGTERM)
        assert server.wait(20) == 0


def test_their_socket_may_be_inherited(tmp_path: Path) -> None:
    (tmp_path / "site_.py").write_text(SITE.format("one"))
    with listen() as inherited:
        command = [sys.executable, "-m", "bascule", "-w", "2", "site_"]
        bind = ("--bind", f"fd://{inherited.fileno()}")
        address, descriptors = inherited.getsockname(), [inherited.fileno()]
        with ServerProcess(
            [*command, *bind], address, cwd=tmp_path, pass_fds=descriptors
        ) as server:
            server.wait_until_it_answers()
            server.signal(signal.SIGTERM)
            assert server.wait(20) == 0


@pytest.mark.parametrize("address", ["unix:@{}/abstract", "[::]:0", "0"])
def test_their_address_may_be_of_any_kind(address: str) -> None:
    with project(SITE.format("one"), "-w", "2", "--bind", "") as server:
        server.argv[server.argv.index("")] = address.format(server.directory)
        server.start_there()
        wait_until(lambda: server.err.count("Serving ") == 2, "both serve")
        (at,) = set(re.findall(r" on (?:http://|unix:)(\S+)", server.err))
        host, _, port = at.rpartition(":")
        server.address = ("127.0.0.1", int(port)) if host else "\0" + at[1:]
        assert asked(server)[0] == "one"


def test_the_file_of_a_process_that_runs_is_left_alone() -> None:
    with several() as server, project(SITE.format("two"), "-w", "2") as second:
        file = server.directory / "its.pid"
        second.argv[-1:-1] = ("--pid", str(file))
        second.start_there()
        assert second.wait(20) == 3
        said = f"bascule: --pid: process {server.pid} runs with {file}\n"
        assert second.err == said
        assert file.read_text() == f"{server.pid}\n"


def test_an_address_in_use_is_said_as_for_one_process() -> None:
    with listen() as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with project(SITE.format("one"), "--bind", address, "-w2") as server:
            server.start_there()
            assert server.wait() == 3
            assert server.err == f"bascule: cannot listen on {address}: Address already in use\n"


def test_their_number_may_be_in_the_environment_unless_a_supervisor_has_started_this() -> None:
    with project(SITE.format("one")) as server:
        server.start_there({"WEB_CONCURRENCY": "2"})
        wait_until(lambda: server.err.count("Serving ") == 2, "both serve")
    with project(SITE.format("one")) as server:
        server.start_there({"WEB_CONCURRENCY": "2", "SUPERVISOR_ENABLED": "1"})
        server.wait_until_it_answers()
        assert "[0]" not in server.err
