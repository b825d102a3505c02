"""Rules of who may come from where to which path, and what follows from all of them.

    rule    = ( "allow" / "deny" ) who [ path ]
    who     = address / network / "all" / "unix"
    path    = prefix in whole segments, "/" where there is none

The rules of one path form a list. In a list the most specific network wins, whatever the order, as
in a routing table; of two rules for the same one, the denial. A request meets the lists of all the
prefixes of its path:

- denied by any of them, it is denied: a blocked client is blocked everywhere below;
- otherwise the innermost list that is closed decides, and admits whom it allows. A list with any
  `allow` in it is closed.

So one more denial never admits anybody.

Look-ups cost one access to a dict for each length of prefix in use, however many rules there are.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Literal, NamedTuple

from bascule_middleware.exchange.path_prefix import prefix_key, prefix_matcher
from bascule_middleware.exchange.trust import UNIX, parse_network

MEMO_ENTRIES = 4096  # clients in turn on one worker

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ALL: Literal["all"] = "all"


class Rule(NamedTuple):
    """One rule. `who` is a network, "all", or "unix" for the peers of a unix socket."""

    allows: bool
    who: Network | str
    path: str


def parse_rule(text: str) -> Rule:
    """Read a rule. Raises ValueError, fit to be shown."""
    action, *rest = text.split(maxsplit=2)
    if action not in ("allow", "deny") or not rest:
        raise ValueError(f'"{text}" is not a rule; write it as "deny 192.0.2.0/24 /path"')
    who = rest[0] if rest[0] in (ALL, UNIX) else _mapped(parse_network(rest[0]))
    return Rule(action == "allow", who, prefix_key(rest[1] if rest[1:] else "/"))


def parse_rules(text: str) -> Iterator[Rule]:
    """Read rules, one a line; "#" at its beginning or after a space begins a comment.

    Raises ValueError that begins with the line's number.
    """
    for number, line in enumerate(text.splitlines(), 1):
        rule = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
        if rule:
            try:
                yield parse_rule(rule)
            except ValueError as error:
                raise ValueError(f"{number}: {error}") from None


class AccessRules:
    """All rules. Never changed: new rules make a new object."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        by_path: dict[str, list[Rule]] = {}
        for rule in rules:
            by_path.setdefault(rule.path, []).append(rule)
        lists = {path: _List(rules) for path, rules in by_path.items()}
        # The lists that a request meets, by the innermost one's path; the innermost first.
        self._lists = {
            path: [lists[prefix] for prefix in _prefixes(path) if prefix in lists] for path in lists
        }
        self._innermost = prefix_matcher(lists)

    def admits(self, address: str, path: str) -> bool:
        """Return whether an address (REMOTE_ADDR's form) may reach a path (PATH_INFO's form).

        What is no address is denied wherever there is a rule. A path that an application may read
        in two ways, "/x/../admin", is admitted where both are.
        """
        readings = {path, _normal(path)} if "//" in path or "/." in path else (path,)
        return all(self._admits(address, reading) for reading in readings)

    def _admits(self, address: str, path: str) -> bool:
        is_open = False  # a closed list further in has admitted the address
        innermost = self._innermost(path)
        # No segment ends in the asterisk of OPTIONS: it is under "/" alone (RFC 9112 §3.2.4).
        for rules in self._lists.get(innermost[0] if innermost else "", ()):
            allowed = rules.verdict(address)
            if allowed is False or (rules.is_closed and not allowed and not is_open):
                return False
            is_open = is_open or rules.is_closed
        return True


class _List:
    """The rules of one path."""

    def __init__(self, rules: list[Rule]) -> None:
        # By version and length, then by the network's bits; `all` and `unix` stand by themselves.
        self._networks: dict[tuple[int, int], dict[int, bool]] = {}
        self._others: dict[str, bool] = {}
        for rule in sorted(rules, key=lambda rule: not rule.allows):  # denials last: they win
            if isinstance(rule.who, str):
                self._others[rule.who] = rule.allows
            else:
                length = rule.who.version, rule.who.prefixlen
                bits = int(rule.who.network_address) >> (rule.who.max_prefixlen - length[1])
                self._networks.setdefault(length, {})[bits] = rule.allows
        # The longest first, for each version.
        self._lengths = {
            version: sorted((n for v, n in self._networks if v == version), reverse=True)
            for version in (4, 6)
        }
        self.is_closed = any(rule.allows for rule in rules)
        self.verdict = lru_cache(MEMO_ENTRIES)(self._verdict)

    def _verdict(self, address: str) -> bool | None:
        """Return whether an address is allowed; None where no rule has it."""
        if not address:
            return self._others.get(UNIX, self._others.get(ALL))
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        if parsed.version == 6 and parsed.ipv4_mapped:
            parsed = parsed.ipv4_mapped
        for length in self._lengths[parsed.version]:
            bits = int(parsed) >> (parsed.max_prefixlen - length)
            found = self._networks[parsed.version, length].get(bits)
            if found is not None:
                return found
        return self._others.get(ALL)


def _prefixes(path: str) -> Iterator[str]:
    """Give a path and what it is below of, the longest first; "" is the whole site."""
    while path:
        yield path
        path = path.rpartition("/")[0]
    yield ""


def _mapped(network: Network) -> Network:
    """Return an IPv4 network in IPv6 clothes ("::ffff:192.0.2.0/120") as IPv4."""
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped:
            return ipaddress.IPv4Network((int(mapped), network.prefixlen - 96))
    return network


def _normal(path: str) -> str:
    """Return a path without empty and dot segments (RFC 3986 §5.2.4), as many applications do."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(segment)
    return "".join(f"/{segment}" for segment in segments)
