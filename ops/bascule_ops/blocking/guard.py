"""Addresses that are not an abuser's: blocking one of them takes away more than it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path

from bascule_ops.blocking.markers import Network

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1"))
ROUTES = Path("/proc/net/route")
ANY = "00000000"


def gateways(routes: Path) -> Iterator[ipaddress.IPv4Address]:
    """Give this machine's (or container's) default gateways."""
    if not routes.exists():
        return
    for line in routes.read_text().splitlines()[1:]:
        _, destination, gateway, *_ = line.split()
        if destination == ANY and gateway != ANY:
            # A number in the machine's byte order (proc(5)); Linux runs on little-endian ones.
            yield ipaddress.IPv4Address(bytes.fromhex(gateway)[::-1])


def objection(network: Network, routes: Path = ROUTES) -> str | None:
    """Return why a network should not be blocked, where there is a reason."""
    for own in LOOPBACK:
        if own.version == network.version and network.overlaps(own):
            return "that is this machine itself: its health checks and tunnels come from there"
    for gateway in gateways(routes):
        if gateway in network:
            return (
                f"{gateway} is the gateway: behind a published port of a container every client"
                " may come from there"
            )
    return None
