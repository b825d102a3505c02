"""The whole stack: nginx as it is configured here, before each server."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.bench import wrk
from tests.bench.file_server import foreground
from tests.bench.measure import Bench, Figures, rates
from tests.bench.native import require
from tests.bench.peers import Peer
from tests.bench.processes import STACK_CORES, STACK_LOAD_CORES, Server, StartError
from tests.harness.ports import free_port
from tests.harness.processes import ROOT

# uWSGI's own protocol has the request's fields as variables (the usual set).
TO_UWSGI: Final = """uwsgi_pass bascule;
        uwsgi_param QUERY_STRING $query_string;
        uwsgi_param REQUEST_METHOD $request_method;
        uwsgi_param CONTENT_TYPE $content_type;
        uwsgi_param CONTENT_LENGTH $content_length;
        uwsgi_param REQUEST_URI $request_uri;
        uwsgi_param PATH_INFO $document_uri;
        uwsgi_param SERVER_PROTOCOL $server_protocol;
        uwsgi_param REMOTE_ADDR $remote_addr;
        uwsgi_param SERVER_PORT $server_port;
        uwsgi_param SERVER_NAME $server_name;
        uwsgi_param HTTP_X_REQUEST_ID $request_id;
"""


def stack(bench: Bench, peer: Peer) -> Figures:
    """Measure nginx, as the stack configures it, before a server on its best transport."""
    directory = bench.directory / "stack"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    socket = directory / "worker-0.sock"
    wanted = replace(bench.start("hello"), speaks_uwsgi=peer.speaks_uwsgi)
    if peer.has_unix_sockets:
        wanted = replace(wanted, address=f"unix:{socket}")
    # nginx answers when the server does; with uWSGI's own protocol there is no asking itself.
    with (
        Server(peer.command(wanted), wanted.address, bench.log(peer), cores=STACK_CORES) as server,
        _nginx(directory, wanted.address, wanted.speaks_uwsgi) as nginx,
    ):
        script = directory / "load.lua"
        script.write_text(wrk.browser())
        address, cores = nginx.address, STACK_LOAD_CORES
        wrk.run(address, script, bench.warm_up, connections=wrk.CONNECTIONS, cores=cores)
        before = server.cpu_us(), nginx.cpu_us()
        load = wrk.run(address, script, bench.seconds, connections=wrk.CONNECTIONS, cores=cores)
        return {
            **rates(load),
            "cpu_us": (server.cpu_us() - before[0]) / load.requests,
            "nginx_cpu_us": (nginx.cpu_us() - before[1]) / load.requests,
        }


@contextmanager
def _nginx(directory: Path, upstream: str, speaks_uwsgi: bool) -> Iterator[Server]:
    """Run the stack's nginx before one upstream, by its own entry point's configuration."""
    port = free_port()
    run_dir = directory / "nginx"
    settings = {
        "NGINX_BINARY": require("nginx", "nginx-light"),
        "NGINX_SOURCE_DIR": str(ROOT / "nginx"),
        "NGINX_RUN_DIR": str(run_dir),
        "RUN_DIR": str(directory),
        "NGINX_PORT": str(port),
        "WORKERS": "1",
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
    (run_dir / "upstream_servers.conf").write_text(f'server "{upstream}" max_fails=0;\n')
    if speaks_uwsgi:
        site = run_dir / "conf.d" / "30-site.conf"
        site.write_text(site.read_text().replace("proxy_pass http://bascule;", TO_UWSGI))
    command = [
        *(settings["NGINX_BINARY"], "-p", f"{run_dir}/", "-c", "nginx.conf"),
        *foreground(),
    ]
    address = f"127.0.0.1:{port}"
    with Server(command, address, directory / "nginx.log", cores=STACK_CORES) as server:
        server.wait_until_it_answers()
        yield server
