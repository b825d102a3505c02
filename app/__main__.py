"""``python -m app``: an application under wsgiref, the reference server of the standard library.

For a first look at WSGI, not for the world: it serves one request at a time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from pkgutil import resolve_name
from threading import Thread
from wsgiref.simple_server import make_server

EXIT_CANNOT_START = 1
HOST = "127.0.0.1"  # this machine only


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C; return the exit code: 0, or 1 where it could not start."""
    parser = argparse.ArgumentParser(
        prog="python -m app",
        description="Serves a WSGI application with wsgiref, one request at a time.",
    )
    parser.add_argument(
        "application",
        metavar="MODULE:CALLABLE",
        nargs="?",
        default="app.hello:application",
        help="the application (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=8000,
        help="port to listen on; 0 takes a free one (default: %(default)s)",
    )
    arguments = parser.parse_args(argv)
    try:
        application = resolve_name(arguments.application)
    except (ImportError, AttributeError, ValueError) as error:
        return _refuse(f"cannot load {arguments.application}: {error}")
    if not callable(application):
        return _refuse(f"cannot load {arguments.application}: it is not callable")
    try:
        server = make_server(HOST, arguments.port, application)
    except OSError as error:
        remedy = "name another port with --port"
        return _refuse(f"cannot listen on port {arguments.port}: {error.strerror}; {remedy}")
    address = f"http://{HOST}:{server.server_port}/"
    # Beside the main thread, which Ctrl-C interrupts: within a request, wsgiref would answer
    # KeyboardInterrupt with a 500 and go on.
    serving = Thread(target=server.serve_forever, daemon=True)
    with server, suppress(KeyboardInterrupt):
        serving.start()
        print(f"Serving {arguments.application} on {address} (Ctrl-C ends it)", flush=True)  # noqa: T201
        serving.join()
    return 0


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f'"{text}" is not a port, 0 to 65535')
    return int(text)


def _refuse(message: str) -> int:
    print(f"python -m app: {message}", file=sys.stderr)  # noqa: T201
    return EXIT_CANNOT_START


if __name__ == "__main__":
    sys.exit(main())
