"""What is measured: each scenario's application, load, servers and figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.benchmark import wrk
from ops.benchmark.peers import APPLICATIONS, BASCULE, BASCULE_SINGLE, PEERS, Peer, Start
from ops.benchmark.processes import Server, free_port

# Every server that can take threads gets as many, in every scenario: what is deployed has one
# setting, and none of them is faster with fewer (gunicorn and uWSGI are slower with one).
THREADS: Final = 8

UPLOAD_BYTES: Final = 1024 * 1024
# As many as there are threads: with more, the slowest servers answer none in a short run.
UPLOAD_CONNECTIONS: Final = 8

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Bench:
    """What a measurement may use: a directory, the compiled programs, how long to measure."""

    directory: Path
    floor: Path
    seconds: float
    warm_up: float

    def script(self, text: str) -> Path:
        """Write a Lua script for wrk and return where."""
        path = self.directory / "load.lua"
        path.write_text(text)
        return path


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing to measure for some servers.

    `measure` raises `StartError`, `LoadError` or `OSError` where a server cannot do it.
    """

    name: str
    title: str
    measure: Callable[[Bench, Peer], Figures]
    # The figures of the table, the one to compare by first.
    shows: tuple[str, ...]
    servers: tuple[str, ...] = tuple(PEERS)
    extra_seconds: float = 0.0  # on top of a start and a measurement, for the estimate


def start(bench: Bench, peer: Peer, application: str, **options: object) -> Server:
    """Start a server on a free TCP port and wait for its first answer.

    Raises:
        StartError: there was none.
    """
    address = f"127.0.0.1:{free_port()}"
    wanted = Start(
        f"{APPLICATIONS}:{application}",
        address,
        THREADS,
        floor=bench.floor,
        **options,  # type: ignore[arg-type]
    )
    server = Server(peer.command(wanted), address, bench.directory / f"{peer.name}.log")
    try:
        server.wait_until_it_answers()
    except BaseException:
        server.stop()
        raise
    return server


def under_wrk(
    server: Server, bench: Bench, script: str, connections: int = wrk.CONNECTIONS
) -> Figures:
    """Warm a server up, load it, and return its figures."""
    path = bench.script(script)
    wrk.run(server.address, path, bench.warm_up, connections=connections)
    before = server.cpu_us()
    load = wrk.run(server.address, path, bench.seconds, connections=connections)
    used = server.cpu_us() - before
    return {
        "cpu_us": used / load.requests,
        "requests_per_second": load.requests_per_second,
        "p50_ms": load.p50_us / 1000,
        "p99_ms": load.p99_us / 1000,
        "errors": load.errors,
    }


def _plain(application: str, script: Callable[[], str]) -> Callable[[Bench, Peer], Figures]:
    def measure(bench: Bench, peer: Peer) -> Figures:
        with start(bench, peer, application) as server:
            return under_wrk(server, bench, script())

    return measure


def _logged(script: Callable[[], str]) -> Callable[[Bench, Peer], Figures]:
    def measure(bench: Bench, peer: Peer) -> Figures:
        log = bench.directory / "access.log"
        with start(bench, peer, "hello", access_log=log) as server:
            figures = under_wrk(server, bench, script())
        log.unlink()
        return figures

    return measure


def _upload(bench: Bench, peer: Peer) -> Figures:
    with start(bench, peer, "upload") as server:
        return under_wrk(server, bench, wrk.upload(UPLOAD_BYTES), UPLOAD_CONNECTIONS)


def _new_connection(bench: Bench, peer: Peer) -> Figures:
    with start(bench, peer, "hello", closes=True) as server:
        return under_wrk(server, bench, wrk.closing())


CPU: Final = ("cpu_us", "requests_per_second", "p50_ms", "p99_ms")
RATE: Final = ("requests_per_second", "cpu_us", "p50_ms", "p99_ms")
APPLICATION_SERVERS: Final = tuple(
    peer.name for peer in PEERS.values() if peer.serves_applications and peer.name != BASCULE_SINGLE
)

SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        Scenario("hello", "Hello, wrk's own short head", _plain("hello", wrk.fixed), CPU),
        Scenario(
            "proxied",
            "Hello, the fields that nginx forwards, one of them new each time",
            _plain("hello", wrk.proxied),
            CPU,
        ),
        Scenario(
            "hello-log",
            "Hello with the JSON access log on, into a file",
            _logged(wrk.fixed),
            CPU,
            (BASCULE,),
        ),
        Scenario(
            "proxied-log",
            "Proxied hello with the JSON access log on, into a file",
            _logged(wrk.proxied),
            CPU,
            (BASCULE,),
        ),
        Scenario("connections", "A new connection for each request", _new_connection, RATE),
        Scenario("page", "A body of 64 KiB", _plain("page", wrk.fixed), RATE, APPLICATION_SERVERS),
        Scenario(
            "stream",
            "A stream of 100 pieces",
            _plain("stream", wrk.fixed),
            RATE,
            APPLICATION_SERVERS,
        ),
        Scenario(
            "sleep",
            "An application that waits 10 ms; 8 threads where there are threads",
            _plain("sleep", wrk.fixed),
            RATE,
            APPLICATION_SERVERS,
        ),
        Scenario(
            "compute",
            "An application that computes for 1 ms",
            _plain("compute", wrk.fixed),
            RATE,
            APPLICATION_SERVERS,
        ),
        Scenario("upload", "A body of 1 MiB to read", _upload, RATE, APPLICATION_SERVERS),
    )
}
