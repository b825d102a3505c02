"""Which peers a link believes. A trust decision reads REMOTE_ADDR, never a forwarded field."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from functools import lru_cache

UNIX = "unix"  # the name of every unix-socket peer; servers give them an empty REMOTE_ADDR
MEMO_ENTRIES = (
    1024  # peers are few (proxies); the bound is for a server that clients reach directly
)


def trust(peers: Sequence[str]) -> Callable[[str], bool]:
    """Return a test of whether an address (REMOTE_ADDR's form) belongs to `peers`.

    `peers` are addresses, networks ("10.0.0.0/8", "fd00::/8") and "unix". IPv4 addresses in
    IPv6 clothes ("::ffff:10.0.0.1") count as IPv4. Whatever is no address is not trusted.
    Raises ValueError, fit to be shown, for a peer that is none of these.
    """
    networks = [parse_network(peer) for peer in peers if peer != UNIX]
    trusts_unix = UNIX in peers

    @lru_cache(MEMO_ENTRIES)
    def trusted(address: str) -> bool:
        if not address:
            return trusts_unix
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        if parsed.version == 6 and parsed.ipv4_mapped:
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in networks)

    return trusted


def parse_network(peer: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Return an address or a network as a network. Raises ValueError, fit to be shown."""
    try:
        return ipaddress.ip_network(peer)
    except ValueError as error:
        remedy = 'write an address, a network as in "10.0.0.0/8", or "unix"'
        if "host bits" in str(error):
            remedy = f'did you mean "{ipaddress.ip_network(peer, strict=False)}"?'
        raise ValueError(f'"{peer}" is not a network; {remedy}') from None
