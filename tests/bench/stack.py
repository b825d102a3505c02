"""The whole stack over two cores: as `ops/up` starts it, and what others put behind nginx."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench import load
from tests.bench.file_server import foreground
from tests.bench.measure import THREADS, Bench, Figures, rates
from tests.bench.native import require
from tests.bench.peers import BASCULE, FLOOR, Peer, Start
from tests.bench.processes import (
    STACK_CORES,
    STACK_LOAD_CORES,
    Server,
    StartError,
    cpu_us,
    pinned,
)
from tests.harness.ports import free_port
from tests.harness.processes import ROOT, inherited, is_alive, tree
from tests.harness.waiting import wait_until

WORKERS: Final = 2
APPLICATION: Final = "app.hello:application"  # that of app/chain.toml
UP_SECONDS: Final = 90.0
DOWN_SECONDS: Final = 60.0

# What a user writes for a server of their own: connections kept, fields set, nginx's usual log.
PLAIN_NGINX: Final = """
worker_processes auto;
pid nginx.pid;
events {{ worker_connections 2048; }}
http {{
    access_log access.log combined;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    scgi_temp_path scgi;
    uwsgi_temp_path uwsgi;
    upstream application {{
        server {upstream} max_fails=0;
        keepalive 32;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://application;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Request-ID $request_id;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Running:
    """A stack that answers: nginx's address, and whose processor time each figure is."""

    address: str
    processes: Callable[[], Mapping[str, list[int]]]


def stack(bench: Bench, peer: Peer) -> Figures:
    """Measure a site's traffic through nginx and two workers, access logs on.

    Bascule is started as users start it, with nothing set but ports; the floor stands behind the
    same nginx; the others behind a plain one.
    """
    begin = {BASCULE: _as_shipped, FLOOR: _before_floor}.get(peer.name, _before_peer)
    with bench.fresh("stack") as directory, begin(bench, peer, directory) as running:
        population = bench.population("site")

        def run(seconds: float, first: int) -> load.Load:
            return load.run(
                *(bench.load, running.address, population, seconds),
                first=first,
                cores=STACK_LOAD_CORES,
            )

        warm_up = run(bench.warm_up, 0)
        # Not before: a server answers when the first of its workers is there.
        processes = running.processes()
        before = {name: cpu_us(pids) for name, pids in processes.items()}
        found = run(bench.seconds, warm_up.sent)
        used = {
            name: (cpu_us(pids) - before[name]) / found.requests for name, pids in processes.items()
        }
        return {**rates(found), **used}


@contextmanager
def _as_shipped(_bench: Bench, _peer: Peer, directory: Path) -> Iterator[Running]:
    """Run the stack that the checkout ships, in local mode."""
    port = free_port()
    environment = {
        **inherited(),
        "RUN_DIR": str(directory / "run"),
        "HTTP_PORT": str(port),
        "STATUS_PORT": str(free_port()),
        "WORKERS": str(WORKERS),
    }

    command = [sys.executable, "-P", "-m", "bascule_ops", "--project", str(ROOT), "up", "--local"]
    done = subprocess.run(
        pinned(STACK_CORES, command),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=UP_SECONDS,
    )
    if done.returncode:
        raise StartError(f"basculectl up: {done.stderr.strip()[-300:]}")
    supervisord = int((directory / "run" / "supervise.pid").read_text())
    try:
        yield Running(f"127.0.0.1:{port}", lambda: _parts(supervisord))
    finally:
        # Not by `down`, which would stop the project's containers as well.
        os.kill(supervisord, signal.SIGTERM)
        wait_until(lambda: not is_alive(supervisord), "the stack's end", limit=DOWN_SECONDS)


def _parts(supervisord: int) -> dict[str, list[int]]:
    """Return the stack's processes: nginx's, the workers, and supervisord with what helps it."""
    parts: dict[str, list[int]] = {"nginx_cpu_us": [], "cpu_us": [], "supervisord_cpu_us": []}
    for pid in tree(supervisord):
        words = Path(f"/proc/{pid}/cmdline").read_text()
        if words.startswith("nginx:"):
            parts["nginx_cpu_us"].append(pid)
        elif "/worker-" in words:
            parts["cpu_us"].append(pid)
        else:
            parts["supervisord_cpu_us"].append(pid)
    return parts


@contextmanager
def _before_floor(bench: Bench, peer: Peer, directory: Path) -> Iterator[Running]:
    """Run the nginx that the checkout ships before floors in the workers' places."""
    addresses = [f"unix:{directory}/worker-{number}.sock" for number in range(WORKERS)]
    with ExitStack() as stack:
        floors = [stack.enter_context(_server(bench, peer, address)) for address in addresses]
        nginx = stack.enter_context(_shipped_nginx(directory))
        yield Running(nginx.address, lambda: _of(nginx, *floors))


@contextmanager
def _before_peer(bench: Bench, peer: Peer, directory: Path) -> Iterator[Running]:
    """Run a server with its access log on behind a plain nginx with its own."""
    upstream = f"unix:{directory}/application.sock"
    port = free_port()
    (directory / "nginx.conf").write_text(PLAIN_NGINX.format(upstream=upstream, port=port))
    nginx = [require("nginx", "nginx-light"), "-p", f"{directory}/", "-c", "nginx.conf"]
    with (
        _server(bench, peer, upstream, directory / "access-application.log") as server,
        _nginx(nginx, port, directory) as front,
    ):
        yield Running(front.address, lambda: _of(front, server))


def _of(nginx: Server, *servers: Server) -> dict[str, list[int]]:
    behind = [pid for server in servers for pid in server.pids()]
    return {"nginx_cpu_us": nginx.pids(), "cpu_us": behind}


def _server(bench: Bench, peer: Peer, address: str, access_log: Path | None = None) -> Server:
    wanted = Start(
        *(APPLICATION, address, THREADS, bench.directory),
        access_log=access_log,
        workers=WORKERS,
    )
    return Server(peer.command(wanted), address, bench.log(peer), cores=STACK_CORES)


@contextmanager
def _shipped_nginx(directory: Path) -> Iterator[Server]:
    """Run the stack's nginx, by its own entry point's configuration."""
    port = free_port()
    run_dir = directory / "nginx"
    settings = {
        "NGINX_BINARY": require("nginx", "nginx-light"),
        "NGINX_SOURCE_DIR": str(ROOT / "nginx"),
        "NGINX_RUN_DIR": str(run_dir),
        "RUN_DIR": str(directory),
        "NGINX_PORT": str(port),
        "WORKERS": str(WORKERS),
    }
    rendered = subprocess.run(
        [ROOT / "nginx" / "docker-entrypoint.sh", "true"],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    if rendered.returncode:
        raise StartError(f"nginx's entry point: {rendered.stderr.strip()}")
    command = [settings["NGINX_BINARY"], "-p", f"{run_dir}/", "-c", "nginx.conf"]
    with _nginx(command, port, directory) as server:
        yield server


@contextmanager
def _nginx(command: Sequence[str], port: int, directory: Path) -> Iterator[Server]:
    """Run an nginx until it answers, and so does the server behind it."""
    address, log = f"127.0.0.1:{port}", directory / "nginx.log"
    with Server([*command, *foreground()], address, log, cores=STACK_CORES) as server:
        server.wait_until_it_answers()
        yield server
