"""Starts the servers that have no command line, or one that lacks what the benchmark needs.

``python -m tests.bench.embedded SERVER MODULE:CALLABLE ADDRESS THREADS``
"""

from __future__ import annotations

import importlib
import socket
import sys
from collections.abc import Callable
from typing import Any, Final

Application = Callable[..., Any]

BACKLOG: Final = 2048  # the default of the server measured beside them
CONNECTIONS: Final = 20_000  # more than any scenario has


def _endpoint(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


def bjoern(application: Application, address: str, _threads: int) -> None:
    """Serve with bjoern, which knows unix sockets and has no threads."""
    module = importlib.import_module("bjoern")
    if address.startswith("unix:"):
        module.run(application, address, listen_backlog=BACKLOG)
    else:
        module.run(application, *_endpoint(address), listen_backlog=BACKLOG)


def fastwsgi(application: Application, address: str, _threads: int) -> None:
    """Serve with fastwsgi, which has neither unix sockets nor threads."""
    module = importlib.import_module("fastwsgi")
    module.server.backlog = BACKLOG
    # Else a response in two parts waits 40 ms for the client's acknowledgement.
    module.server.tcp_nodelay = 1
    module.server.init(application, *_endpoint(address))
    module.server.run()


def cheroot(application: Application, address: str, threads: int) -> None:
    """Serve with cheroot."""
    module = importlib.import_module("cheroot.wsgi")
    where = address.removeprefix("unix:") if address.startswith("unix:") else _endpoint(address)
    server = module.Server(
        where, application, numthreads=threads, max=threads, request_queue_size=BACKLOG
    )
    # The default of 10 would end every connection but those after its response.
    server.keep_alive_conn_limit = CONNECTIONS
    server.start()


def application_floor(application: Application, address: str, _threads: int) -> None:
    """Serve with the floor in C that calls applications."""
    module = importlib.import_module("application_floor")
    listener = socket.create_server(_endpoint(address), backlog=BACKLOG)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited
    environ = {
        "SCRIPT_NAME": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": address.rpartition(":")[2],
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    module.serve(application, listener.fileno(), environ)


SERVERS: Final = {
    "application_floor": application_floor,
    "bjoern": bjoern,
    "cheroot": cheroot,
    "fastwsgi": fastwsgi,
}


def main(arguments: list[str]) -> None:
    """Serve until the process is ended."""
    server, application, address, threads = arguments
    module, _, name = application.partition(":")
    SERVERS[server](getattr(importlib.import_module(module), name), address, int(threads))


if __name__ == "__main__":
    main(sys.argv[1:])
