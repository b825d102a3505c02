"""The grammar of the fields in which proxies report their client: Forwarded and X-Forwarded-*.

Pure functions from text to values; which of them to believe is decided in `proxy_headers`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

DEFAULT_PORTS = {"http": "80", "https": "443"}


class MalformedFieldError(ValueError):
    """A field that does not follow its grammar; the text says what is wrong with it."""


class Node(NamedTuple):
    """One hop: `address` as canonical text, and `port`; None where the proxy did not tell."""

    address: str | None
    port: str | None


class Host(NamedTuple):
    """A host as clients name it: `name` with brackets around IPv6; `port` None where not given."""

    name: str
    port: str | None


# node     = nodename [ ":" node-port ]                        (RFC 7239 §6)
# nodename = IPv4address / "[" IPv6address "]" / "unknown" / obfnode
# obfnode  = "_" 1*( ALPHA / DIGIT / "." / "_" / "-")
# node-port = 1*5DIGIT / obfport, an obfport written as an obfnode is
_NODE = re.compile(
    r"(?: (?P<v4>[0-9.]+) | \[ (?P<v6>[0-9A-Fa-f:.]+) \] | (?i:unknown) | _[A-Za-z0-9._-]+ )"
    r"(?: : (?: (?P<port>[0-9]{1,5}) | _[A-Za-z0-9._-]+ ) )?",
    re.VERBOSE,
).fullmatch

# uri-host [ ":" port ] (RFC 9110 §7.2), reg-name kept to what DNS and container names use.
_HOST = re.compile(
    r"(?P<name> [A-Za-z0-9._-]+ | \[ (?P<v6>[0-9A-Fa-f:.]+) \] ) (?: : (?P<port>[0-9]{1,5}) )?",
    re.VERBOSE,
).fullmatch

# forwarded-pair = token "=" ( token / quoted-string ) (RFC 7239 §4, RFC 9110 §5.6.2 and §5.6.4)
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 (the RFC's token, not a secret)
_PAIR = re.compile(
    rf'({_TOKEN})=(?:({_TOKEN})|"((?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*)")'
).match
_QUOTED_PAIR = re.compile(r"\\(.)")
_SEPARATOR = re.compile(r";|[ \t]*,[ \t]*").match


def parse_node(text: str) -> Node:
    """Parse one `node`. Raises MalformedFieldError."""
    match = _NODE(text)
    if not match:
        raise MalformedFieldError(f'"{text}" is not an address')
    try:
        if match["v4"]:
            address = str(ipaddress.IPv4Address(match["v4"]))
        elif match["v6"]:
            parsed = ipaddress.IPv6Address(match["v6"])
            address = str(parsed.ipv4_mapped or parsed)
        else:
            return Node(None, None)
    except ValueError:
        raise MalformedFieldError(f'"{text}" is not an address') from None
    return Node(address, match["port"] and parse_port(match["port"]))


def parse_hop(text: str) -> Node:
    """Parse one item of X-Forwarded-For: a `node`, or an IPv6 address without brackets."""
    bare_v6 = text.count(":") > 1 and not text.startswith("[")
    return parse_node(f"[{text}]" if bare_v6 else text)


def parse_host(text: str) -> Host:
    """Parse `uri-host [ ":" port ]`. Raises MalformedFieldError."""
    match = _HOST(text)
    if not match:
        raise MalformedFieldError(f'"{text}" is not a host')
    if match["v6"]:
        try:
            ipaddress.IPv6Address(match["v6"])
        except ValueError:
            raise MalformedFieldError(f'"{text}" is not a host') from None
    return Host(match["name"], match["port"] and parse_port(match["port"]))


def parse_port(text: str) -> str:
    """Return a port number as text without leading zeros. Raises MalformedFieldError."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise MalformedFieldError(f'"{text}" is not a port')
    return str(int(text))


def parse_list(value: str) -> list[str]:
    """Split a comma-separated list, without its empty items (RFC 9110 §5.6.1.2)."""
    return [item for text in value.split(",") if (item := text.strip(" \t"))]


def parse_forwarded(value: str) -> list[dict[str, str]]:
    """Parse a Forwarded field into its elements, nearest proxy last, each from parameter to value.

    Parameter names come in lower case, values unquoted. Empty list items are skipped; a parameter
    twice in one element is refused (RFC 7239 §4), like all that the grammar does not have.

    Forwarded         = 1#forwarded-element
    forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] )
    """
    value = value.strip(" \t")
    elements: list[dict[str, str]] = [{}]
    position = 0
    while position < len(value):
        if pair := _PAIR(value, position):
            name = pair[1].lower()
            if name in elements[-1]:
                raise MalformedFieldError(f'parameter "{name}" twice in one element')
            elements[-1][name] = pair[2] or _QUOTED_PAIR.sub(r"\1", pair[3])
            position = pair.end()
        if separator := _SEPARATOR(value, position):
            if separator[0] != ";":
                elements.append({})
            position = separator.end()
        elif position < len(value):
            raise MalformedFieldError(f'unexpected "{value[position]}" at {position}')
    return [element for element in elements if element]
