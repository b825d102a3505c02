"""The grammar of Forwarded and X-Forwarded-*: examples of RFC 7239, round trips, and rubbish."""

from __future__ import annotations

import contextlib
import ipaddress
import string

import pytest
from bascule_middleware.exchange.forwarded import (
    Host,
    MalformedFieldError,
    Node,
    parse_forwarded,
    parse_hop,
    parse_host,
    parse_node,
    parse_port,
)
from hypothesis import given
from hypothesis import strategies as st

TOKEN_CHARACTERS = "!#$%&'*+-.^_`|~" + string.digits + string.ascii_letters

tokens = st.text(TOKEN_CHARACTERS, min_size=1, max_size=8)
# What a quoted-string can hold (RFC 9110 §5.6.4): tab, visible ASCII and blank, obs-text.
quotable = st.text(
    st.one_of(st.just("\t"), st.characters(min_codepoint=32, max_codepoint=126))
    | st.characters(min_codepoint=0x80, max_codepoint=0xFF)
)
elements = st.dictionaries(tokens.map(str.lower), quotable, min_size=1, max_size=4)
addresses = st.ip_addresses().filter(
    lambda address: address.version == 4 or not address.ipv4_mapped
)
ports = st.none() | st.integers(0, 65535).map(str)
rubbish = st.text(st.sampled_from('for=by;,:[]"\\ \t_unkow1.9aF\x80') | st.characters())


def quoted(value: str, draw_token: bool) -> str:
    if draw_token and value and set(value) <= set(TOKEN_CHARACTERS):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(st.lists(elements, max_size=4), st.data())
def test_forwarded_survives_a_round_trip(hops: list[dict[str, str]], data: st.DataObject) -> None:
    cased = st.sampled_from([str.lower, str.upper, str.title])
    separators = st.sampled_from([",", ", ", " ,", "\t,\t", ", ,", ",,"])
    text = ""
    for element in hops:
        pairs = [
            f"{data.draw(cased)(name)}={quoted(value, data.draw(st.booleans()))}"
            for name, value in element.items()
        ]
        text += (data.draw(separators) if text else "") + ";".join(pairs)
    assert parse_forwarded(text) == hops


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        # The examples of RFC 7239 §4.
        ('for="_gazonk"', [{"for": "_gazonk"}]),
        ('For="[2001:db8:cafe::17]:4711"', [{"for": "[2001:db8:cafe::17]:4711"}]),
        (
            "for=192.0.2.60;proto=http;by=203.0.113.43",
            [{"for": "192.0.2.60", "proto": "http", "by": "203.0.113.43"}],
        ),
        ("for=192.0.2.43, for=198.51.100.17", [{"for": "192.0.2.43"}, {"for": "198.51.100.17"}]),
        # Every pair of an element may be missing.
        ("", []),
        (" , ;, for=_a;;", [{"for": "_a"}]),
        ('for="a,b;c"', [{"for": "a,b;c"}]),
        (r'for="\"\\"', [{"for": '"\\'}]),
        ('host=""', [{"host": ""}]),
    ],
)
def test_forwarded_is_read_as_its_grammar_has_it(value: str, parsed: list[dict[str, str]]) -> None:
    assert parse_forwarded(value) == parsed


@pytest.mark.parametrize(
    "value",
    [
        "for",
        "for=",
        "=a",
        "for =a",
        "for= a",
        "for=[::1]",
        "for=1.2.3.4:80",
        'for="a',
        'for="a\\"',
        'for="a"b',
        "for=a; proto=http",
        "for=a for=b",
        "for=a;for=b",
        "for=a;FOR=b",
        'for="a\nb"',
        'for="a\x7f"',
        "for=ü",
    ],
)
def test_what_the_grammar_of_forwarded_has_not_is_refused(value: str) -> None:
    with pytest.raises(MalformedFieldError):
        parse_forwarded(value)


@given(rubbish)
def test_rubbish_raises_nothing_but_a_malformed_field(text: str) -> None:
    for parse in (parse_forwarded, parse_node, parse_hop, parse_host, parse_port):
        with contextlib.suppress(MalformedFieldError):
            parse(text)


@given(addresses, ports)
def test_an_address_with_or_without_port_is_read_back(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: str | None
) -> None:
    name = f"[{address.exploded.upper()}]" if address.version == 6 else str(address)
    text = f"{name}:{port}" if port else name
    expected = Node(str(address), port)
    assert parse_node(text) == expected
    assert parse_hop(text) == expected
    assert parse_hop(str(address)) == Node(str(address), None)


@pytest.mark.parametrize(
    "text", ["unknown", "UNKNOWN", "_hidden", "_SEVKISEK", "unknown:_port", "_a.b-c:80"]
)
def test_a_hidden_node_has_no_address(text: str) -> None:
    assert parse_node(text) == Node(None, None)


def test_an_obfuscated_port_is_no_port() -> None:
    assert parse_node("192.0.2.1:_p") == Node("192.0.2.1", None)


def test_an_ipv4_address_in_ipv6_clothes_is_an_ipv4_address() -> None:
    assert parse_hop("::ffff:192.0.2.1") == Node("192.0.2.1", None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost",
        "_",
        "1.2.3",
        "1.2.3.04",
        "1.2.3.256",
        "[1.2.3.4]",
        "[::1",
        "::1]",
        "[fe80::1%eth0]",
        "1.2.3.4:",
        "1.2.3.4:65536",
        "1.2.3.4:123456",
        "1.2.3.4 ",
        "１.2.3.4",
        "[::1]:-1",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    for parse in (parse_node, parse_hop):
        with pytest.raises(MalformedFieldError):
            parse(text)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("example.org", Host("example.org", None)),
        ("Example.ORG.:8443", Host("Example.ORG.", "8443")),
        ("my_service:080", Host("my_service", "80")),
        ("[2001:db8::1]", Host("[2001:db8::1]", None)),
        ("[2001:db8::1]:443", Host("[2001:db8::1]", "443")),
        ("192.0.2.1:1", Host("192.0.2.1", "1")),
    ],
)
def test_a_host_is_read_with_its_port(text: str, host: Host) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a b",
        "a/b",
        "user@host",
        "host:",
        "host:x",
        "host:65536",
        "[::1",
        "[:]",
        "a\n",
        "ü",
        "::1",
    ],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(MalformedFieldError):
        parse_host(text)


@pytest.mark.parametrize("text", ["", "-1", "65536", "000080", "8 0", "٣"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(MalformedFieldError):
        parse_port(text)
