"""What measurements share: starting a server for a scenario, and putting load on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench import load, populations
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

    @contextmanager
    def fresh(self, name: str) -> Iterator[Path]:
        """Give a new directory, which goes with what is in it when the block ends."""
        directory = self.directory / name
        directory.mkdir()
        try:
            yield directory
        finally:
            shutil.rmtree(directory)

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


def replayed(
    server: Server, bench: Bench, name: str, connections: int = load.CONNECTIONS
) -> Figures:
    """Warm a server up with a population, go on with it, and return the server's figures."""

    def run(seconds: float, first: int) -> load.Load:
        population = bench.population(name)
        return load.run(
            *(bench.load, server.address, population, seconds),
            connections=connections,
            first=first,
        )

    warm_up = run(bench.warm_up, 0)
    before = server.cpu_us()
    found = run(bench.seconds, warm_up.sent)
    used = server.cpu_us() - before
    return {**rates(found), "cpu_us": used / found.requests}


def rates(found: load.Load) -> Figures:
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
