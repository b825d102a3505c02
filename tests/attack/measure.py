"""One measurement: a server alone, under one attack, and after it."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.attack.plans import Attack
from tests.bench.applications import FILE_VARIABLE
from tests.bench.peers import Peer, Start
from tests.bench.processes import LOAD_CORES, Server, pinned
from tests.harness.ports import free_port
from tests.harness.processes import ROOT, Process
from tests.harness.waiting import NotInTimeError, wait_until

THREADS: Final = 8
MEBIBYTE: Final = 1024 * 1024
LARGE_BYTES: Final = 64 * MEBIBYTE
WARM_UP_SECONDS: Final = 0.3
# After an attack: so soon (seconds) a usual client must be served again as before.
RECOVERY_SECONDS: Final = 10.0
SETTLE_SECONDS: Final = 0.3
# Beyond what the attacker and the client need.
LONGEST_SECONDS: Final = 60.0

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Field:
    """Where attacks take place: a directory for what is needed, and for how long."""

    directory: Path
    seconds: float

    def prepare(self) -> None:
        """Make the file that the application sends."""
        path = self.directory / "large"
        with path.open("wb") as file:
            file.truncate(LARGE_BYTES)
        os.environ[FILE_VARIABLE] = str(path)


def measure(peer: Peer, attack: Attack, field: Field) -> Figures:
    """Return a usual client's figures without and with an attack, and the server's resources.

    Raises:
        StartError: the server does not start.
        OSError: a program is missing.
    """
    with _started(peer, attack, field) as server:
        usual_client(server.address, WARM_UP_SECONDS)
        pids = set(server.pids())
        before = server.reset_peak_bytes()
        alone = usual_client(server.address, field.seconds)
        with attacked(attack.name, server.address) as attackers:
            attackers.wait_until_ready()
            used, began = server.cpu_us(), time.monotonic()
            beside = usual_client(server.address, field.seconds)
            busy = (server.cpu_us() - used) / 1e6 / (time.monotonic() - began)
        recovered = _recovers(server)
        lived = server.is_running() and pids <= set(server.pids())
        return {
            **_figures(alone, beside),
            "connections": attackers.connected,
            "cpu": busy,
            "before_mib": before / MEBIBYTE,
            "peak_mib": server.peak_bytes() / MEBIBYTE if lived else float("nan"),
            "after_mib": resident_bytes(server) / MEBIBYTE,
            "recovered": float(recovered),
            "lived": float(lived),
        }


def _figures(alone: Mapping[str, Any], beside: Mapping[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    for kind in ("kept", "new"):
        for figure in ("p50_ms", "p99_ms"):
            found[f"{kind}_{figure}_alone"] = alone[kind][figure]
            found[f"{kind}_{figure}"] = beside[kind][figure]
        found[f"{kind}_asked"] = beside[kind]["asked"]
        found[f"{kind}_failed"] = beside[kind]["failed"]
    return found


@contextmanager
def _started(peer: Peer, attack: Attack, field: Field) -> Iterator[Server]:
    wanted = Start(
        "tests.attack.application:application",
        f"127.0.0.1:{free_port()}",
        THREADS,
        field.directory,
    )
    command = peer.command(wanted)
    most = attack.descriptors or max(resource.getrlimit(resource.RLIMIT_NOFILE))
    command = ["prlimit", f"--nofile={most}", *command]
    with Server(command, wanted.address, field.directory / f"{peer.name}.log") as server:
        server.wait_until_it_answers()
        yield server


def usual_client(address: str, seconds: float, *kind: str) -> Mapping[str, Any]:
    """Return what a usual client had to wait, on all kinds of connection or on one."""
    done = subprocess.run(
        pinned(
            LOAD_CORES,
            [sys.executable, "-m", "tests.attack.client", address, str(seconds), *kind],
        ),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        timeout=seconds + LONGEST_SECONDS,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class Attackers:
    """A running attack.

    Attributes:
        connected: connections that were open at its end.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self.connected = 0

    def wait_until_ready(self) -> None:
        """Return when it is in full swing."""
        self._process.read_line(LONGEST_SECONDS)

    def end(self) -> None:
        """End it."""
        self._process.end_input()
        self._process.wait(LONGEST_SECONDS)
        self.connected = int(json.loads(self._process.out.splitlines()[-1])["connected"])


@contextmanager
def attacked(name: str, address: str) -> Iterator[Attackers]:
    """Attack a server while the block runs."""
    command = [sys.executable, "-m", "tests.attack.attacker", name, address]
    # The usual client shares the core, and goes first (chrt: SCHED_IDLE).
    command = pinned(LOAD_CORES, ["chrt", "--idle", "0", *command])
    with Process(command, stdin=subprocess.PIPE) as process:
        attackers = Attackers(process)
        yield attackers
        attackers.end()


def _recovers(server: Server) -> bool:
    """Whether a usual client soon gets every answer again."""

    def is_served() -> bool:
        found = usual_client(server.address, SETTLE_SECONDS)
        return not found["kept"]["failed"] and not found["new"]["failed"]

    try:
        return wait_until(is_served, "a usual client's answers", limit=RECOVERY_SECONDS)
    except NotInTimeError:
        return False


def resident_bytes(server: Server) -> int:
    """Return how much memory is resident now, the sum of a server's processes."""
    page = os.sysconf("SC_PAGE_SIZE")
    return sum(
        int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page for pid in server.pids()
    )
