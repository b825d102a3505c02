"""Find the addresses that local mode serves on.

The site's is the one in ``HTTP_PORT``, a port or ``ADDRESS:PORT``, or it is refused; with none set,
it is port 80 of every address where the user may bind it and it is free, else the first free one
from 8080. It is the same for TLS with ``HTTPS_PORT``, 443 and 8443, and for the status page with
``STATUS_PORT``, a port of the loopback address, from 8081; there ``off`` stays off.
"""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from typing import Final

from bascule_ops import address
from bascule_ops.address import EVERY, Address

CANDIDATES: tuple[int, ...] = (80, *range(8080, 8100))
TLS_CANDIDATES: tuple[int, ...] = (443, *range(8443, 8463))
STATUS_CANDIDATES: tuple[int, ...] = tuple(range(8081, 8100))
LOOPBACK: Final = "127.0.0.1"


def refusal(wanted: Address) -> OSError | None:
    """Why nginx could not listen there, on those addresses whose family there is."""
    for host in ("0.0.0.0", "::") if wanted.host == EVERY else (wanted.host,):  # noqa: S104 (as nginx listens)
        try:
            sock = _socket(host)
        except OSError:
            continue  # the kernel has no such family, and nginx leaves it out as well
        with sock:
            try:
                sock.bind((host, wanted.port))
            except OSError as error:
                return error
    return None


def _socket(host: str) -> socket.socket:
    """One that binds as nginx's do."""
    is_ipv6 = ":" in host
    sock = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_ipv6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock


class PortTakenError(ValueError):
    """Somebody else listens there.

    Attributes:
        port: the port.
    """

    def __init__(self, text: str, port: int) -> None:
        super().__init__(text)
        self.port = port


def explain(wanted: Address, error: OSError) -> str:
    """The refusal in words, with a remedy."""
    port = wanted.port
    if error.errno == errno.EACCES:
        return f"this user may not listen on port {port}: choose one from 1024 up"
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use: stop who uses it, or choose another"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"this machine has no address {wanted.host}: ip address lists those that it has"
    return f"cannot listen on {wanted}: {error.strerror}"


def _checked(setting: str, text: str, wanted: Address) -> Address:
    if not wanted.port:
        wanted = _any_port(wanted)
    if error := refusal(wanted):
        words = f"{setting} is {text}: {explain(wanted, error)}"
        is_taken = error.errno == errno.EADDRINUSE
        raise PortTakenError(words, wanted.port) if is_taken else ValueError(words)
    return wanted


def _any_port(wanted: Address) -> Address:
    """A free one of that address; as it was where there is no such address."""
    host = "0.0.0.0" if wanted.host == EVERY else wanted.host  # noqa: S104 (as nginx listens)
    with suppress(OSError), _socket(host) as sock:
        sock.bind((host, 0))
        return Address(wanted.host, sock.getsockname()[1])
    return wanted


def choose(wanted: str) -> Address:
    """The site's address. Raises `ValueError` with a message for the user."""
    return _choose("HTTP_PORT", wanted, CANDIDATES)


def choose_for_tls(wanted: str) -> Address:
    """The site's address for TLS. Raises `ValueError` with a message for the user."""
    return _choose("HTTPS_PORT", wanted, TLS_CANDIDATES)


def _choose(setting: str, wanted: str, candidates: tuple[int, ...]) -> Address:
    if wanted:
        return _checked(setting, wanted, address.read(setting, wanted))
    for port in candidates:
        if refusal(Address(EVERY, port)) is None:
            return Address(EVERY, port)
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
        if not wanted.isascii() or not wanted.isdigit() or int(wanted) > 65535:
            raise ValueError(f'STATUS_PORT is "{wanted}": set it to a port, 1 to 65535, or to off')
        return str(_checked("STATUS_PORT", wanted, Address(LOOPBACK, int(wanted))).port)
    for port in STATUS_CANDIDATES:
        if str(port) != site and refusal(Address(LOOPBACK, port)) is None:
            return str(port)
    return "off"
