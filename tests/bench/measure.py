"""What measurements share: starting a server for a scenario, and putting load on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench import load, populations, wrk
from tests.bench.peers import APPLICATIONS, Peer, Start
from tests.bench.processes import Server
from tests.harness.ports import free_port

# Every server that can take threads gets as many, in every scenario: what is deployed has one
# setting, and none of them is faster with fewer (gunicorn and uWSGI are slower with one).
THREADS: Final = 8

MEBIBYTE: Final = 1024 * 1024

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Bench:
    """What a measurement may use: a directory with the compiled programs, and how much time.

    Attributes:
        traffic: a population to replay in place of the one made for `traffic`.
    """

    directory: Path
    seconds: float
    warm_up: float
    traffic: Path | None = None

    def population(self, name: str) -> Path:
        """Return the file of a population."""
        if name == "traffic" and self.traffic is not None:
            return self.traffic
        return populations.made(name, self.directory)

    @property
    def load(self) -> Path:
        """The compiled load."""
        return self.directory / "load"

    def start(self, application: str) -> Start:
        """Return what it takes to start a server on a free TCP port."""
        return Start(
            f"{APPLICATIONS}:{application}", f"127.0.0.1:{free_port()}", THREADS, self.directory
        )

    def log(self, peer: Peer) -> Path:
        """Return where a server's output goes."""
        return self.directory / f"{peer.name}.log"


def started(bench: Bench, peer: Peer, wanted: Start) -> Server:
    """Start a server and wait for its first answer.

    Raises:
        StartError: there was none.
    """
    server = Server(peer.command(wanted), wanted.address, bench.log(peer))
    try:
        server.wait_until_it_answers()
    except BaseException:
        server.kill()
        raise
    return server


def under_wrk(
    server: Server, bench: Bench, script: str, connections: int = wrk.CONNECTIONS
) -> Figures:
    """Warm a server up, load it, and return its figures."""
    path = bench.directory / "load.lua"
    path.write_text(script)
    wrk.run(server.address, path, bench.warm_up, connections=connections)
    before = server.cpu_us()
    found = wrk.run(server.address, path, bench.seconds, connections=connections)
    used = server.cpu_us() - before
    return {**rates(found), "cpu_us": used / found.requests}


def replayed(server: Server, bench: Bench, name: str) -> Figures:
    """Warm a server up with a population, go on with it, and return the server's figures."""
    population = bench.population(name)
    warm_up = load.run(bench.load, server.address, population, bench.warm_up)
    before = server.cpu_us()
    found = load.run(bench.load, server.address, population, bench.seconds, first=warm_up.sent)
    used = server.cpu_us() - before
    return {**rates(found), "cpu_us": used / found.requests}


def rates(found: wrk.Load | load.Load) -> Figures:
    """Return what the load counted as figures.

    Raises:
        LoadError: no request was answered (in a warm-up that is no error).
    """
    if found.requests == 0:
        raise load.LoadError("no request was answered")
    return {
        "requests_per_second": found.requests_per_second,
        "p50_ms": found.p50_us / 1000,
        "p99_ms": found.p99_us / 1000,
        "errors": found.errors,
    }
