"""Bascule's WSGI server: HTTP/1.1 in pure Python, standard library only.

Each folder is a layer, and imports those above it in this list (docs/server.md):

- ``http``: bytes to messages and back; no sockets, no clock, no threads
- ``told``: what is written down: events, the access log, counters
- ``wsgi``: PEP 3333: the environ, the call of the application, its answer; CGI
- ``engine``: sockets, time and threads
- ``watch``: what is going on: requests in flight, slow and hung calls, the status

Beside them ``errors``, ``config``, ``version``, ``guard`` and ``streams``, which all may know, and
``worker``, ``command`` and ``simple_server``, which know all.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

# Python puts the working directory first on the path of ``-m``. There a module of the project, such
# as its logging.py, would take the place of one that the server needs. It comes back when the
# application is loaded.
if sys.argv[:1] == ["-m"] and not sys.flags.safe_path and sys.path[:1] == [os.getcwd()]:
    del sys.path[0]

from bascule.version import __version__

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from bascule.simple_server import Server

__all__ = ["__version__", "make_server"]


def make_server(host: str, port: int, app: WSGIApplication) -> Server:
    """Return a server that listens for an application, as ``wsgiref.simple_server`` has it.

    Args:
        host: an address or a name; ``""`` is every address of this machine.
        port: 0 takes a free one; ``server_port`` of the result tells which.
        app: what answers the requests (PEP 3333).

    Raises:
        StartError: it cannot listen there.
    """
    from bascule.simple_server import Server  # noqa: PLC0415 - it is the whole server

    return Server(host, port, app)
