"""What a server adds to an application in Flask or Django, and what its clients wait."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.bench import load, native, shop
from tests.bench.measure import THREADS, Bench, Figures, rates, started
from tests.bench.peers import Peer, Start
from tests.harness.ports import free_port

# The server and the floor take turns, each so many times: what disturbs the machine meets both.
TURNS: Final = 5
STEADY_SHARE: Final = 0.7  # of the rate that a server reached


def framework(application: str) -> Callable[[Bench, Peer], Figures]:
    """Return the measurement of one application.

    Its figures are the server's own at full load, by how much its processor time exceeds that of
    a floor in C that calls the same application, and its latency at `STEADY_SHARE`.
    """

    def measure(bench: Bench, peer: Peer) -> Figures:
        _prepare(bench)
        extension = native.build_extension("application_floor", bench.directory)
        wanted = Start(application, f"127.0.0.1:{free_port()}", THREADS, bench.directory)
        floor_wanted = Start(application, f"127.0.0.1:{free_port()}", 1, bench.directory)
        with (
            started(bench, Peer("floor", _floor(extension)), floor_wanted) as floor,
            started(bench, peer, wanted) as server,
        ):
            population, first = bench.population("sites"), 0

            def turn(address: str, seconds: float, rate: float = 0.0) -> load.Load:
                return load.run(bench.load, address, population, seconds, first=first, rate=rate)

            for each in (floor, server):
                first += turn(each.address, bench.warm_up).sent
            added, own, floors, full = [], [], [], []
            for _ in range(TURNS):
                used = []
                for each in (floor, server):
                    before = each.cpu_us()
                    found = turn(each.address, bench.seconds / TURNS)
                    rates(found)  # raises where nothing was answered
                    used.append((each.cpu_us() - before) / found.requests)
                first += found.sent
                full.append(found)
                floors.append(used[0])
                own.append(used[1])
                added.append(used[1] - used[0])
            rate = statistics.median(each.requests_per_second for each in full)
            steady = turn(server.address, bench.seconds, rate * STEADY_SHARE)
            return {
                "cpu_us": statistics.median(own),
                "floor_cpu_us": statistics.median(floors),
                "added_us": statistics.median(added),
                "requests_per_second": rate,
                "p99_steady_ms": steady.p99_us / 1000,
                "errors": steady.errors + sum(each.errors for each in full),
            }

    return measure


def _prepare(bench: Bench) -> None:
    """Make the database, once a run, and let the applications know where."""
    path = bench.directory / "shop.sqlite"
    os.environ[shop.DATABASE_VARIABLE] = str(path)
    if not path.exists():
        shop.create(path)


def _floor(extension: Path) -> Callable[[Start], list[str]]:
    def command(start: Start) -> list[str]:
        return [
            *(
                "env",
                f"PYTHONPATH={extension.parent}",
                sys.executable,
                "-m",
                "tests.bench.embedded",
            ),
            *("application_floor", start.application, start.address, str(start.threads)),
        ]

    return command
