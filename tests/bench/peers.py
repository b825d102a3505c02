"""The servers that are measured: how each is started, with the settings that suit it best.

One worker each, so that one core is what all have, but for the whole stack. Access logs are off
unless a scenario asks for one. Where a server can take threads it gets the scenario's number of them.
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tests.bench.file_server import file_server

# Not resolved: the virtual environment's own directory is meant.
BIN: Final = Path(sys.executable).parent
# As `embedded` and the servers' own commands import it.
APPLICATIONS: Final = "tests.bench.applications"


@dataclass(frozen=True, slots=True)
class Start:
    """What a server is to serve, and where."""

    application: str  # MODULE:CALLABLE
    address: str  # HOST:PORT or unix:PATH
    threads: int
    directory: Path  # has the compiled floor; nginx writes there
    access_log: Path | None = None  # JSON lines go there, by those that can write them
    closes: bool = False  # every request asks for it; the floor cannot know: it does not parse
    workers: int = 1

    @property
    def is_unix(self) -> bool:
        """Whether it listens on a unix socket."""
        return self.address.startswith("unix:")

    @property
    def host(self) -> str:
        """The host of a TCP address."""
        return self.address.rpartition(":")[0]

    @property
    def port(self) -> str:
        """The port of a TCP address."""
        return self.address.rpartition(":")[2]

    @property
    def path(self) -> str:
        """The path of a unix socket."""
        return self.address.removeprefix("unix:")


@dataclass(frozen=True, slots=True)
class Peer:
    """A server under measurement."""

    name: str
    command: Callable[[Start], list[str]]
    distribution: str = ""  # the package whose version counts
    lock: str = ""  # requirements/LOCK.txt brings it, where requirements/bench.txt does not
    is_threaded: bool = False
    has_unix_sockets: bool = True
    serves_applications: bool = True

    def version(self) -> str:
        """Return the installed version; "" for what has none."""
        if not self.distribution:
            return ""
        return importlib.metadata.version(self.distribution)


def _bascule(start: Start) -> list[str]:
    return [
        *(sys.executable, "-m", "bascule", "--bind", start.address),
        *("--threads", str(start.threads), "--log-level", "warning"),
        *("--access-logformat", "json", "--access-logfile", str(start.access_log or "off")),
        start.application,
    ]


def _bascule_single(start: Start) -> list[str]:
    return _bascule(replace(start, threads=1))


def _before(start: Start) -> list[str]:
    # What is on PYTHONPATH goes before what the virtual environment has.
    return ["env", f"PYTHONPATH={start.directory / BEFORE}/server", *_bascule(start)]


def _gunicorn(worker_class: str) -> Callable[[Start], list[str]]:
    def command(start: Start) -> list[str]:
        threads = ["--threads", str(start.threads)] if worker_class == "gthread" else []
        log = ["--access-logfile", str(start.access_log)] if start.access_log else []
        return [
            *(str(BIN / "gunicorn"), "--workers", str(start.workers)),
            *("--worker-class", worker_class, *threads, *log),
            # As long as a proxy keeps its connections; the default of 2 s would end them early.
            *("--keep-alive", "75", "--backlog", "2048", "--worker-connections", "20000"),
            *("--bind", start.address, "--log-level", "warning", "--no-control-socket"),
            start.application,
        ]

    return command


def _waitress(start: Start) -> list[str]:
    where = f"--unix-socket={start.path}" if start.is_unix else f"--listen={start.address}"
    return [
        *(str(BIN / "waitress-serve"), where, f"--threads={start.threads}"),
        # poll instead of select, and as many connections as come.
        *("--asyncore-use-poll", "--connection-limit=20000", "--backlog=2048"),
        start.application,
    ]


def _uwsgi(start: Start) -> list[str]:
    """Start uWSGI on the socket that suits what it serves.

    ``--http11-socket`` keeps connections, but serves only as many at a time as there are
    threads, heeds no ``Connection: close``, and leaves bodies without a length unended: where
    that matters it is ``--http-socket``, which closes, and has to be told to say so.
    """
    module, _, callable_name = start.application.rpartition(":")
    keeps = not start.closes and callable_name in {"hello", "traffic", "page", "sleep", "compute"}
    kind = ["--http11-socket"] if keeps else ["--add-header", "Connection: close", "--http-socket"]
    return [
        *(str(BIN / "uwsgi"), *kind, start.path, "--threads", str(start.threads)),
        *("--module", f"{module}:{callable_name}", "--need-app", "--single-interpreter"),
        *("--home", str(BIN.parent), "--pythonpath", ".", "--buffer-size", "16384"),
        *("--listen", "2048", "--disable-logging", "--die-on-term"),
    ]


def _granian(start: Start) -> list[str]:
    where = ["--uds", start.path] if start.is_unix else ["--host", start.host, "--port", start.port]
    return [
        *(str(BIN / "granian"), "--interface", "wsgi", "--workers", str(start.workers)),
        *("--blocking-threads", str(start.threads), "--http", "1", "--no-ws"),
        # Backpressure counts connections, and by default no more than the backlog are served.
        *("--backlog", "2048", "--backpressure", "20000", *where),
        # Its access log goes where its other output goes, which is a file as well.
        *(("--access-log",) if start.access_log else ("--log-level", "warning")),
        start.application,
    ]


def _embedded(server: str) -> Callable[[Start], list[str]]:
    def command(start: Start) -> list[str]:
        return [
            *(sys.executable, "-m", "tests.bench.embedded", server),
            *(start.application, start.address, str(start.threads)),
        ]

    return command


def _floor(start: Start) -> list[str]:
    return [str(start.directory / FLOOR), start.address, "close" if start.closes else "keep-alive"]


def _nginx(start: Start) -> list[str]:
    return file_server(start.directory, start.port)


BASCULE: Final = "bascule"
BASCULE_SINGLE: Final = "bascule-1"
BEFORE: Final = "before"  # Bascule as it was in an earlier commit
FLOOR: Final = "floor"
NGINX: Final = "nginx"  # by itself, as it serves files

PEERS: Final = {
    peer.name: peer
    for peer in (
        Peer(BASCULE, _bascule, is_threaded=True),
        Peer(BEFORE, _before, is_threaded=True),
        Peer(BASCULE_SINGLE, _bascule_single),
        Peer("bjoern", _embedded("bjoern"), "bjoern", "bench-bjoern"),
        Peer(
            "fastwsgi", _embedded("fastwsgi"), "fastwsgi", "bench-fastwsgi", has_unix_sockets=False
        ),
        Peer("granian", _granian, "granian", is_threaded=True),
        Peer("uwsgi", _uwsgi, "uwsgi", "bench-uwsgi", is_threaded=True),
        Peer("waitress", _waitress, "waitress", is_threaded=True),
        Peer("cheroot", _embedded("cheroot"), "cheroot", is_threaded=True),
        Peer("gunicorn-gthread", _gunicorn("gthread"), "gunicorn", is_threaded=True),
        Peer("gunicorn-sync", _gunicorn("sync"), "gunicorn"),
        Peer(FLOOR, _floor, serves_applications=False),
        Peer(NGINX, _nginx, serves_applications=False),
    )
}
