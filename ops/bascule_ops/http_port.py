"""Find the ports that local mode serves on.

The site's port is the one in ``HTTP_PORT``, or it is refused; with none set, it is 80 where the
user may bind it and it is free, else the first free one from 8080. It is the same for TLS with
``HTTPS_PORT``, 443 and 8443, and for the status page with ``STATUS_PORT``, on the loopback address,
from 8081; there ``off`` stays off.
"""

from __future__ import annotations

import errno
import socket

CANDIDATES: tuple[int, ...] = (80, *range(8080, 8100))
TLS_CANDIDATES: tuple[int, ...] = (443, *range(8443, 8463))
STATUS_CANDIDATES: tuple[int, ...] = tuple(range(8081, 8100))
EVERYWHERE = ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"))  # noqa: S104 (as nginx listens)
LOOPBACK = ((socket.AF_INET, "127.0.0.1"),)
Addresses = tuple[tuple[socket.AddressFamily, str], ...]


def refusal(port: int, addresses: Addresses = EVERYWHERE) -> OSError | None:
    """Why nginx could not listen on `port`, on those `addresses` whose family there is."""
    for family, address in addresses:
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


def _checked(setting: str, wanted: str, addresses: Addresses) -> int:
    if not wanted.isascii() or not wanted.isdigit() or not 1 <= int(wanted) <= 65535:
        raise ValueError(f'{setting} is "{wanted}": set it to a port, 1 to 65535')
    port = int(wanted)
    if error := refusal(port, addresses):
        raise ValueError(f"{setting} is {port}: {explain(port, error)}")
    return port


def choose(wanted: str) -> int:
    """The site's port. Raises `ValueError` with a message for the user."""
    return _choose("HTTP_PORT", wanted, CANDIDATES)


def choose_for_tls(wanted: str) -> int:
    """The site's port for TLS. Raises `ValueError` with a message for the user."""
    return _choose("HTTPS_PORT", wanted, TLS_CANDIDATES)


def _choose(setting: str, wanted: str, candidates: tuple[int, ...]) -> int:
    if wanted:
        return _checked(setting, wanted, EVERYWHERE)
    for port in candidates:
        if refusal(port) is None:
            return port
    raise ValueError(f"no free port among {', '.join(map(str, candidates))}: set {setting}")


def choose_for_status(wanted: str, site: str) -> str:
    """The inside listener's port, or ``off``; `site` is the port that the site takes.

    Nobody asked for one where `wanted` is empty, so then it is off where none is free. Raises
    `ValueError` with a message for the user.
    """
    if wanted == "off":
        return wanted
    if wanted:
        if wanted == site:
            raise ValueError(f"STATUS_PORT is {wanted}: the site itself has that port")
        return str(_checked("STATUS_PORT", wanted, LOOPBACK))
    for port in STATUS_CANDIDATES:
        if str(port) != site and refusal(port, LOOPBACK) is None:
            return str(port)
    return "off"
