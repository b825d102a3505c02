"""The names of the files that block an address or a network at nginx.

nginx cannot compare a client with a list that changes, but it can ask for a file of a name made
from the client's address. It asks for three (nginx/templates/15-blocked.conf.template), which
are named as nginx writes addresses:

    IPv4   203.0.113.7   203.0.113 (/24)         203.0 (/16)
    IPv6   2001:db8::7   2001:db8:0:0 (/64)      2001:db8:0 (/48)

A network between these sizes is written as the networks of the next smaller size that it has.
"""

from __future__ import annotations

import ipaddress

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Prefix lengths that nginx asks for, and the shortest that is written as networks of each: a name
# is one of 256 at the most.
IPV4_SIZES = {32: 25, 24: 17, 16: 9}
IPV6_SIZES = {128: 128, 64: 56, 48: 40}
# nginx begins such an address with "::", from which no network can be told.
NO_NETWORKS = ipaddress.IPv6Network("::/16")


def parse(text: str) -> Network:
    """Return an address or a network; one of IPv4 in IPv6 clothes as IPv4.

    Raises ValueError, fit to be shown.
    """
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        remedy = "write an address, such as 203.0.113.7, or a network, such as 203.0.113.0/24"
        if "host bits" in str(error):
            remedy = f"did you mean {ipaddress.ip_network(text, strict=False)}?"
        raise ValueError(f'"{text}" is no network; {remedy}') from None
    if isinstance(network, ipaddress.IPv6Network):
        if network.network_address.scope_id:
            raise ValueError(f'"{text}" has a scope; write the address without it')
        mapped = network.network_address.ipv4_mapped
        if mapped and network.prefixlen >= 96:
            return ipaddress.IPv4Network((int(mapped), network.prefixlen - 96))
    return network


def written(network: Network) -> str:
    """Return a network as people write it: an address without its length."""
    is_address = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if is_address else str(network)


def markers(network: Network) -> list[str]:
    """Return the names of the files for a network. Raises ValueError, fit to be shown."""
    sizes = IPV4_SIZES if network.version == 4 else IPV6_SIZES
    is_address = network.prefixlen == network.max_prefixlen
    if not is_address and network.network_address in NO_NETWORKS:
        raise ValueError(f"{network} is in {NO_NETWORKS}, where only addresses can be blocked")
    for size, shortest in sizes.items():
        if shortest <= network.prefixlen <= size:
            return [_name(each, size) for each in network.subnets(new_prefix=size)]
    raise ValueError(f"{network} cannot be blocked; {_remedy(network)}")


def _name(network: Network, size: int) -> str:
    if size == network.max_prefixlen:
        return str(network.network_address)
    if network.version == 4:
        return ".".join(str(network.network_address).split(".")[: size // 8])
    groups = network.network_address.exploded.split(":")[: size // 16]
    return ":".join(f"{int(group, 16):x}" for group in groups)


def _remedy(network: Network) -> str:
    if network.version == 4:
        return "it has more than 8 million addresses; the largest is a /9"
    if network.prefixlen > 64:
        return f"one customer has a /64: block {network.supernet(new_prefix=64)}"
    return "an IPv6 network is a /40 to /48, or a /56 to /64"
