"""Find the port that local mode serves on.

``python -m ops.http_port`` prints it. The port in ``HTTP_PORT`` is taken or refused; with
none set, 80 where the user may bind it and it is free, else the first free one from 8080.
"""

from __future__ import annotations

import errno
import os
import socket
import sys

CANDIDATES: tuple[int, ...] = (80, *range(8080, 8100))
EVERYWHERE = ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"))  # noqa: S104 (as nginx listens)


def refusal(port: int) -> OSError | None:
    """Why nginx could not listen on `port`, on IPv4 and, where there is any, on IPv6."""
    for family, address in EVERYWHERE:
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError:
            continue  # the kernel has no such family, and nginx leaves it out as well
        with sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                sock.bind((address, port))
            except OSError as error:
                return error
    return None


def explain(port: int, error: OSError) -> str:
    """The refusal in words, with a remedy."""
    if error.errno == errno.EACCES:
        return f"this user may not listen on port {port}: choose one from 1024 up"
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use: stop who uses it, or choose another"
    return f"cannot listen on port {port}: {error.strerror}"


def choose(wanted: str) -> int:
    """The port to use. Raises `ValueError` with a message for the user."""
    if wanted:
        if not wanted.isascii() or not wanted.isdigit() or not 1 <= int(wanted) <= 65535:
            raise ValueError(f'HTTP_PORT is "{wanted}": set it to a port, 1 to 65535')
        port = int(wanted)
        if error := refusal(port):
            raise ValueError(f"HTTP_PORT is {port}: {explain(port, error)}")
        return port
    for port in CANDIDATES:
        if refusal(port) is None:
            return port
    raise ValueError(f"no free port among {', '.join(map(str, CANDIDATES))}: set HTTP_PORT")


if __name__ == "__main__":
    try:
        print(choose(os.environ.get("HTTP_PORT", "")))
    except ValueError as error:
        sys.exit(f"ops/up: {error}")
