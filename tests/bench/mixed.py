"""Fast requests among slow ones: what the fast ones have to wait."""

from __future__ import annotations

import json
import subprocess
from typing import Any, Final

from tests.bench.measure import Bench, Figures, started
from tests.bench.peers import Peer
from tests.bench.processes import LOAD_CORES, Server, pinned
from tests.bench.wrk import CONNECTIONS, LoadError

SLOW_PERCENT: Final = 5
# Requests a second of the steady load: on average 1.25 of the 8 threads are in a slow call, so
# that hardly ever all are, and what is left is what the server itself makes the fast ones wait.
STEADY_RATE: Final = 500
DRAIN_SECONDS: Final = 10.0


def saturated(bench: Bench, peer: Peer) -> Figures:
    """Keep every connection busy: most soon wait for a slow answer, and all threads are taken."""
    return _measure(bench, peer, rate=0)


def steady(bench: Bench, peer: Peer) -> Figures:
    """Send requests at a steady rate that leaves threads free."""
    return _measure(bench, peer, rate=STEADY_RATE)


def _measure(bench: Bench, peer: Peer, rate: int) -> Figures:
    with started(bench, peer, bench.start("mixed")) as server:
        # Past the first slow calls, from which a server may learn.
        _load(server, bench, bench.warm_up, rate)
        return _load(server, bench, bench.seconds, rate)


def _load(server: Server, bench: Bench, seconds: float, rate: int) -> Figures:
    port = server.address.rpartition(":")[2]
    command = [
        *(str(bench.directory / "load"), port, str(CONNECTIONS), str(seconds), str(rate)),
        *("/", "/slow", str(SLOW_PERCENT)),
    ]
    done = subprocess.run(
        pinned(LOAD_CORES, command),
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + DRAIN_SECONDS,
    )
    return parse(done.stdout, done.stderr)


def parse(output: str, complaint: str = "") -> Figures:
    """Return the figures from the line that the load printed.

    Raises:
        LoadError: it printed none, or no fast request was answered.
    """
    for line in output.splitlines():
        if line.startswith("RESULT "):
            values: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
            if values["fast"] == 0:
                raise LoadError("no fast request was answered")
            return {
                "fast_p50_ms": values["fast_p50_us"] / 1000,
                "fast_p99_ms": values["fast_p99_us"] / 1000,
                "slow_p99_ms": values["slow_p99_us"] / 1000,
                "requests_per_second": (values["fast"] + values["slow"]) / values["seconds"],
                "errors": values["errors"],
            }
    raise LoadError(f"the load gave no result: {complaint.strip()[-300:]}")
