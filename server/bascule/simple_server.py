"""A server for an application that is at hand, in the manner of ``wsgiref.simple_server``.

    with make_server("", 8000, application) as server:
        server.serve_forever()

It takes its settings from the environment as the command does, and serves in the main thread, where
Ctrl-C and SIGTERM reach it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

from bascule import streams
from bascule.config import build
from bascule.told import event_log
from bascule.worker import Worker

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


class Server:
    """Serves one application, once.

    Args:
        host: an address or a name; ``""`` is every address of this machine.
        port: 0 takes a free one.
        app: what answers the requests (PEP 3333).

    Raises:
        StartError: it cannot listen there.
        ConfigError: a setting in the environment is wrong.

    Attributes:
        server_port: the port that it listens on.
    """

    def __init__(self, host: str, port: int, app: WSGIApplication) -> None:
        module = getattr(app, "__module__", "") or "application"
        name = getattr(app, "__qualname__", "") or type(app).__qualname__
        bind = [f"{host or '0.0.0.0'}:{port}"]  # noqa: S104 (as wsgiref's does where it is empty)
        config = build(f"{module}:{name}", {"bind": bind}, os.environ)
        streams.secure()
        event_log.configure(config.access_logformat, config.log_level, config.worker)
        self._worker = Worker(config, app)
        (self.server_port,) = self._worker.ports

    def serve_forever(self) -> None:
        """Serve until SIGTERM or Ctrl-C; requests in flight are finished."""
        self._worker.run()

    def server_close(self) -> None:
        """Close the socket of a server that has not served."""
        self._worker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.server_close()
