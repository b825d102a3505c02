"""Limits as people write them: a rate, whom it counts, and where.

100/minute                                     each client address
10/second burst 20 per field X-API-Key         each value of a field
5/minute per address and path on /login        each address at each path below /login
1000/second in total                           everybody together
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from bascule_middleware.exchange.request_path import full_path
from bascule_middleware.links.ratelimit.rates import Rate, parse_rate

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

# A part of what a request is counted by.
Part = Callable[["WSGIEnvironment"], str]

MEMO_ENTRIES = 4096  # addresses in turn on one worker

# limit = rate [ SP ( "per" SP part *( SP "and" SP part ) / "in total" ) ] [ SP "on" SP path ]
_LIMIT = re.compile(
    r"(?P<rate>\S+(?: burst \S+)?)"
    r"(?: per (?P<parts>.+?)| (?P<total>in total))?"
    r"(?: on (?P<path>/.*))?"
).fullmatch

# part = "address" / "path" / "field" SP field-name (RFC 9110 §5.1)
_PART = re.compile(r"address|path|field (?P<field>[A-Za-z0-9!#$%&'*+.^_`|~-]+)").fullmatch

# What may stand in a String of RFC 9651 §3.3.3 as it is.
_PLAIN = re.compile(r"[ !#-\[\]-~]+").fullmatch


@dataclass(frozen=True)
class Limit:
    """One limit. `definition` is its one spelling: equal ones count together in one store."""

    definition: str
    rate: Rate
    parts: Sequence[Part]
    prefix: str | None
    label: str  # its name in the fields of a response, a String of RFC 9651
    policy: str  # its item of RateLimit-Policy

    def applies(self, path: str) -> bool:
        """Return whether a path (SCRIPT_NAME and PATH_INFO) lies in the prefix's segments."""
        prefix = self.prefix
        return prefix is None or path == prefix or path.startswith(prefix + "/")

    def counted_by(self, environ: WSGIEnvironment) -> tuple[str, ...]:
        """Return what this request shares with those that it is counted together with."""
        return tuple([part(environ) for part in self.parts])


def parse_limit(text: str, ipv6_prefix: int) -> Limit:
    """Parse a limit. Raises ValueError with a text for whoever wrote it.

    `ipv6_prefix`: bits of an IPv6 address that make one client.
    """
    if not _PLAIN(text):
        raise ValueError("a limit is written in ASCII, without quotation marks and backslashes")
    match = _LIMIT(text)
    if not match:
        raise ValueError(
            f'"{text}" is not a limit; write it as in "100/minute", '
            '"10/second burst 20 per field X-API-Key" or "5/minute per address on /login"'
        )
    rate = parse_rate(match["rate"])
    definition, parts = match["rate"], []
    if match["total"]:
        definition += " in total"
    else:
        names = (match["parts"] or "address").split(" and ")
        parts = [_part(name, ipv6_prefix) for name in names]
        if len({name.lower() for name in names}) < len(names):
            raise ValueError(f'"{text}" names a part twice')
        definition += " per " + " and ".join(names)
    prefix = match["path"]
    if prefix is not None:
        if re.search(r"[%?#]|//|/\.{1,2}(?:/|\Z)", prefix):
            raise ValueError(f'"{prefix}": write the path decoded, and of whole segments')
        prefix = prefix.removesuffix("/")
        definition += f" on {prefix or '/'}"
    label = f'"{definition}"'
    policy = f"{label};q={rate.burst};w={rate.window}"
    return Limit(definition, rate, parts, prefix or None, label, policy)


def _part(name: str, ipv6_prefix: int) -> Part:
    match = _PART(name)
    if not match:
        raise ValueError(
            f'"{name}" is nothing to count by; write "address", "path" or "field" and its name'
        )
    client = _client(ipv6_prefix)
    if name == "path":
        return full_path
    return _field(match["field"], client) if match["field"] else client


def _client(ipv6_prefix: int) -> Part:
    """Return a reader of the client's address, of an IPv6 one the network.

    Peers without an address, as on a unix socket, are one client.
    """

    @lru_cache(MEMO_ENTRIES)
    def network(address: str) -> str:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return address
        if parsed.version == 4:
            return str(parsed)
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed.packed, ipv6_prefix), strict=False))

    return lambda environ: network(environ.get("REMOTE_ADDR", ""))


def _field(name: str, client: Part) -> Part:
    """Return a reader of a request field; requests without it are counted by their address.

    The signs before them keep a value from being taken for an address.
    """
    variable = "HTTP_" + name.upper().replace("-", "_")
    variable = {"HTTP_CONTENT_TYPE": "CONTENT_TYPE"}.get(variable, variable)

    def read(environ: WSGIEnvironment) -> str:
        value = environ.get(variable)
        return f"={value}" if value else f"@{client(environ)}"

    return read
