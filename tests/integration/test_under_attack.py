"""Under attack the server lives, its memory is bounded, it does not spin, and it goes on serving.

Facts, no times: how long a usual client waits beside each attack ``tests/attack/run`` measures.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attack.plans import ATTACKS
from tests.harness.processes import Process
from tests.harness.servers import ServerProcess, bascule_command, environment, running

from .requests import get

MEBIBYTE = 1 << 20
# More than any of them needs (new-names, which fills the memos: 6 MiB).
GROWTH = 24 * MEBIBYTE
# Of the time: what attackers that are silent most of the time may cost a server that does not spin.
IDLE_CPU = 0.6
# A usual client's cookies, at their largest: they wait behind others, and are served all the same.
COOKIES = f"Cookie: {'c' * 8000}"
START_LIMIT = 60.0  # seconds until an attack is in full swing
SILENT = ("slow-head", "idle", "flood")
BUSY = ("slow-read", "many-fields", "new-names", "pipeline")


@contextlib.contextmanager
def attacked(server: ServerProcess, name: str) -> Iterator[None]:
    """Attack while the block runs, from the moment on at which the attack is in full swing."""
    host, port = server.address
    command = [sys.executable, "-m", "tests.attack.attacker", name, f"{host}:{port}"]
    with Process(command, env=environment(), stdin=subprocess.PIPE) as attacker:
        assert attacker.read_line(START_LIMIT) == "ready\n"
        yield
        attacker.end_input()
        attacker.wait(30)
        assert json.loads(attacker.read_line())["opened"] >= ATTACKS[name].connections / 10


@contextlib.contextmanager
def target(name: str, directory: Path) -> Iterator[ServerProcess]:
    """Run the server with as many descriptors as the attack gives it."""
    large = directory / "large"
    with large.open("wb") as file:
        file.truncate(64 * MEBIBYTE)
    descriptors = ATTACKS[name].descriptors or max(1024, 2 * ATTACKS[name].connections)
    command = bascule_command("--access-logfile", "off", "--threads", "4")
    command = ["prlimit", f"--nofile={descriptors}", *command]
    with running(
        command, "tests.attack.application:application", env={"BASCULE_BENCH_FILE": str(large)}
    ) as server:
        yield server


def resident(server: ServerProcess) -> int:
    """Return the bytes of memory that the server's process holds."""
    pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(server: ServerProcess) -> float:
    """Return the processor time that the server has used."""
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("name", [*SILENT, *BUSY])
def test_a_usual_client_is_served_beside_an_attack_and_after_it(name: str, tmp_path: Path) -> None:
    with target(name, tmp_path) as server:
        before = resident(server)
        with attacked(server, name), server.client() as kept:
            used, began = cpu_seconds(server), time.monotonic()
            for _ in range(20):
                for fields in ([], [COOKIES]):
                    assert kept.request(get("/", *fields)).status == 200
                    with server.client() as new:
                        assert new.request(get("/", *fields)).status == 200
                time.sleep(0.05)  # for so long the attack is watched
            share = (cpu_seconds(server) - used) / (time.monotonic() - began)
        assert resident(server) - before < GROWTH
        if name in SILENT:
            assert share < IDLE_CPU
        with server.client() as new:
            assert new.request(get()).body == b"Hello, World!"
        assert server.stop() == 0
        assert "internal_error" not in server.err
