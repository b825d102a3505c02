"""What is measured: each scenario's application, load, servers and figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from tests.bench import files, frameworks, idle, mixed, shipped, stack
from tests.bench.measure import MEBIBYTE, Bench, Figures, replayed, started
from tests.bench.peers import BASCULE, BASCULE_SINGLE, BEFORE, FLOOR, NGINX, PEERS, Peer

# As many as there are threads: with more, the slowest servers answer none in a short run.
UPLOAD_CONNECTIONS: Final = 8

Measure = Callable[[Bench, Peer], Figures]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing to measure for some servers.

    `measure` raises one of `runner.FAILURES` where a server cannot do it.
    """

    name: str
    title: str
    measure: Measure
    # The figures of the table, the one to compare by first.
    shows: tuple[str, ...]
    servers: tuple[str, ...]
    lasts: float = 1.0  # times as long as others, where few requests must give a steady figure
    extra_seconds: float = 0.0  # what it takes besides, for the estimate
    most_rounds: int | None = None  # where fewer tell as much, or take too long


def _replayed(application: str, population: str) -> Measure:
    def measure(bench: Bench, peer: Peer) -> Figures:
        with started(bench, peer, bench.start(application)) as server:
            return replayed(server, bench, population)

    return measure


def _new_connection(bench: Bench, peer: Peer) -> Figures:
    with started(bench, peer, replace(bench.start("hello"), closes=True)) as server:
        return replayed(server, bench, "closing")


def _upload(bench: Bench, peer: Peer) -> Figures:
    with started(bench, peer, bench.start("upload")) as server:
        return replayed(server, bench, "upload", UPLOAD_CONNECTIONS)


def _memory(bench: Bench, peer: Peer) -> Figures:
    with started(bench, peer, bench.start("traffic")) as server:
        figures = replayed(server, bench, "traffic")
        shares = server.pss_bytes()
    workers = shares[1:] or shares  # of several processes the first has started the others
    return {
        "worker_pss_mib": max(workers) / MEBIBYTE,
        "all_pss_mib": sum(shares) / MEBIBYTE,
        "errors": figures["errors"],
    }


_CPU: Final = ("cpu_us", "requests_per_second", "p50_ms", "p99_ms")
_RATE: Final = ("requests_per_second", "cpu_us", "p50_ms", "p99_ms")
_ADDED: Final = ("added_us", "cpu_us", "floor_cpu_us", "requests_per_second", "p99_steady_ms")
_MIXED: Final = ("fast_p99_ms", "fast_p50_ms", "slow_p99_ms", "requests_per_second")

_APPLICATION_SERVERS: Final = tuple(
    peer.name for peer in PEERS.values() if peer.serves_applications and peer.name != BASCULE_SINGLE
)
_ALL: Final = tuple(name for name in PEERS if name != NGINX)
# uWSGI and gunicorn's sync worker keep only as many connections as they have threads; waitress
# goes through all of them at every turn and takes minutes to have them.
_KEEP_MANY: Final = tuple(
    name for name in _APPLICATION_SERVERS if name not in {"uwsgi", "gunicorn-sync", "waitress"}
)

_FRAMEWORK_SERVERS: Final = (
    *(BASCULE, BEFORE, "bjoern", "granian", "waitress", "gunicorn-gthread"),
)

SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "traffic",
            "A site's traffic as nginx forwards it: no two requests alike",
            _replayed("traffic", "traffic"),
            _CPU,
            _ALL,
        ),
        Scenario(
            "api",
            "Clients of an API: bearer tokens, ETags, 30 % small JSON bodies",
            _replayed("traffic", "api"),
            _CPU,
            _ALL,
        ),
        Scenario(
            "shipped",
            "Traffic on a unix socket, through the chain that ships, access log on",
            shipped.shipped,
            _CPU,
            (BASCULE, BEFORE, "granian", "gunicorn-gthread"),
        ),
        Scenario(
            "stack",
            "Traffic through the whole stack as shipped, over two cores, access logs on",
            stack.stack,
            ("requests_per_second", "p99_ms", "nginx_cpu_us", "cpu_us", "supervisord_cpu_us"),
            (BASCULE, "granian", "gunicorn-gthread", FLOOR),
            lasts=2.0,
            extra_seconds=3.0,
        ),
        Scenario(
            "flask",
            "Flask: a JSON view, and one with session, template and a query to SQLite",
            frameworks.framework("tests.bench.flask_site:application"),
            _ADDED,
            _FRAMEWORK_SERVERS,
            lasts=3.0,
            extra_seconds=9.0,
            most_rounds=3,
        ),
        Scenario(
            "django",
            "Django: a JSON view, and one with session, template and a query to SQLite",
            frameworks.framework("tests.bench.django_site:application"),
            _ADDED,
            _FRAMEWORK_SERVERS,
            lasts=3.0,
            extra_seconds=9.0,
            most_rounds=3,
        ),
        Scenario("connections", "A new connection for each request", _new_connection, _RATE, _ALL),
        Scenario(
            "page", "A body of 64 KiB", _replayed("page", "hello"), _RATE, _APPLICATION_SERVERS
        ),
        Scenario(
            "stream",
            "A stream of 100 pieces",
            _replayed("stream", "hello"),
            _RATE,
            _APPLICATION_SERVERS,
            most_rounds=3,
        ),
        Scenario(
            "sleep",
            "An application that waits 10 ms; 8 threads where there are threads",
            _replayed("sleep", "hello"),
            _RATE,
            _APPLICATION_SERVERS,
            # Starting up is to be within one in a hundred of it.
            lasts=3.0,
            most_rounds=3,
        ),
        Scenario(
            "compute",
            "An application that computes for 1 ms",
            _replayed("compute", "hello"),
            _RATE,
            _APPLICATION_SERVERS,
            most_rounds=3,
        ),
        Scenario(
            "mixed",
            "5 % of the requests take 50 ms, all connections busy: what the fast ones wait",
            mixed.saturated,
            _MIXED,
            _APPLICATION_SERVERS,
            lasts=2.0,
        ),
        Scenario(
            "mixed-steady",
            "5 % of the requests take 50 ms, 500 requests a second: what the fast ones wait",
            mixed.steady,
            _MIXED,
            _APPLICATION_SERVERS,
            lasts=2.0,
            most_rounds=3,
        ),
        Scenario(
            "upload",
            "A body of 1 MiB to read",
            _upload,
            _RATE,
            _APPLICATION_SERVERS,
            most_rounds=3,
        ),
        Scenario(
            "download",
            "A large file on one connection after another (wsgi.file_wrapper), in turns with nginx",
            files.download,
            ("mib_per_second", "of_nginx", "cpu_us_per_mib"),
            (*_APPLICATION_SERVERS, NGINX),
            lasts=3.0,
        ),
        Scenario(
            "large",
            "1 GiB up and down: by how much a worker's memory grows at most",
            files.large,
            ("up_growth_mib", "down_growth_mib"),
            (BASCULE, "granian", "gunicorn-gthread"),
            extra_seconds=8.0,
            most_rounds=1,
        ),
        Scenario(
            "idle",
            "10,000 idle connections: memory of each, and hello beside them",
            idle.idle,
            ("kib_per_connection", "p99_ms", "p99_alone_ms", "cpu_us", "cpu_us_alone"),
            _KEEP_MANY,
            extra_seconds=12.0,
            most_rounds=3,
        ),
        Scenario(
            "memory",
            "Memory (PSS) after serving traffic: the worker, and all of the server",
            _memory,
            ("worker_pss_mib", "all_pss_mib"),
            _APPLICATION_SERVERS,
            most_rounds=3,
        ),
        Scenario(
            "hello",
            "Hello, one short head again and again",
            _replayed("hello", "hello"),
            _CPU,
            _ALL,
        ),
    )
}
