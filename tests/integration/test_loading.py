"""SIGTERM while the application loads: the process ends at once, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.harness.waiting import wait_until

from .project import HELLO, ProjectServer, names_in, project

# What an import may hang in: where the interpreter sees signals, and where it does not.
HANGS = {
    "sleep": "import time; time.sleep(60)",
    "lock": "import threading; lock = threading.Lock()\nlock.acquire(); lock.acquire()",
    "loop": "while True: pass",
    # C code that goes on where a signal interrupts it, as libpq does.
    "C code": "import ctypes\n"
    "mutex, libc = ctypes.create_string_buffer(64), ctypes.CDLL(None)\n"
    "libc.pthread_mutex_lock(mutex); libc.pthread_mutex_lock(mutex)",
    "swallows": "import time\nwhile True:\n    try: time.sleep(1)\n    except BaseException: pass",
    "handler": "import signal, time; signal.signal(signal.SIGTERM, lambda *_: None); time.sleep(60)",
    "asyncio": "import asyncio\nasync def main():\n"
    "    asyncio.get_running_loop().add_signal_handler(10, print)\nasyncio.run(main())\n"
    "import time; time.sleep(60)",
    "process": "import subprocess; subprocess.run(['sleep', '60'])",
}
READY = "open('loading', 'w').close()\n"


def wait_until_it_loads(server: ProjectServer) -> None:
    wait_until((server.directory / "loading").exists, "the application is being loaded")


@pytest.mark.parametrize("hang", HANGS)
def test_a_process_ends_and_leaves_no_socket(hang: str) -> None:
    source = READY + HANGS[hang] + HELLO
    with project(source, "--status-socket", "app.status") as server:
        server.start_there()
        wait_until_it_loads(server)
        assert f".app.sock.{server.pid}" in names_in(server.directory)
        server.signal(signal.SIGTERM)
        assert server.wait(5) == 0
        assert names_in(server.directory) == {"loading"}
        assert server.err == "bascule: stopped by SIGTERM while the application was loaded\n"


@pytest.mark.parametrize("arguments", [("--status-socket", "app.status"), ("--check-config",)])
def test_a_start_that_is_interrupted_says_so_and_leaves_nothing(arguments: tuple[str, ...]) -> None:
    with project(READY + HANGS["sleep"] + HELLO, *arguments) as server:
        server.start_there()
        wait_until_it_loads(server)

        def ends() -> bool:
            if server.is_running():
                server.signal(signal.SIGINT)
            return not server.is_running()

        # What comes just before a call that blocks, Python looks at after the call.
        wait_until(ends, "the end", interval=1.0)
        assert server.wait(5) == 130
        assert names_in(server.directory) == {"loading"}
        assert server.err == "bascule: interrupted while the application was loaded\n"


@pytest.mark.parametrize("hang", ["sleep", "C code"])
def test_process_1_ends_too(hang: str) -> None:
    unshare = shutil.which("unshare")
    probe = ["unshare", "--pid", "--fork", "--mount-proc", "true"]
    if unshare is None or subprocess.run(probe, check=False, capture_output=True).returncode:
        pytest.skip("this machine makes no PID namespaces")
    with project(READY + HANGS[hang] + HELLO) as server:
        server.before = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
        server.start_there()
        wait_until_it_loads(server)
        (child,) = _children(server.pid)
        os.kill(child, signal.SIGTERM)
        assert server.wait(5) == 0
        assert names_in(server.directory) == {"loading"}


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("hang", ["sleep", "C code"])
def test_a_check_of_the_settings_that_is_stopped_says_so(hang: str) -> None:
    with project(READY + HANGS[hang] + HELLO, "--check-config") as server:
        server.start_there()
        wait_until_it_loads(server)
        server.signal(signal.SIGTERM)
        assert server.wait(5) == 1


def test_what_forks_while_it_loads_has_sigterm_for_itself() -> None:
    source = (
        READY
        + "import os, signal\nchild = os.fork()\nif not child: signal.pause()\n"
        + (
            "os.kill(child, signal.SIGTERM); print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)\n"
        )
    )
    with project(source + HELLO) as server:
        server.start_there()
        server.wait_until_it_answers()
        assert server.out.startswith("-15\n")


def test_after_loading_sigterm_is_a_graceful_stop_and_the_log_is_told() -> None:
    with project(HELLO) as server:
        server.start_there()
        server.wait_until_it_answers()
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert "Stopping (SIGTERM)" in server.err
        assert names_in(server.directory) == set()
