"""Access rules: what follows from all of them for an address and a path."""

from __future__ import annotations

import ipaddress
import time

import pytest
from bascule_middleware.links.allowlist.access_rules import AccessRules, parse_rule, parse_rules
from hypothesis import given
from hypothesis import strategies as st


def rules(text: str) -> AccessRules:
    return AccessRules(parse_rules(text))


@pytest.mark.parametrize(
    ("text", "admitted", "denied"),
    [
        ("", ["192.0.2.1", "2001:db8::1", ""], []),
        # Only denials: everybody else is admitted.
        ("deny 192.0.2.1", ["192.0.2.2", "2001:db8::1", ""], ["192.0.2.1", "::ffff:192.0.2.1"]),
        ("deny 2001:db8::/32", ["192.0.2.2", "2001:db9::1"], ["2001:db8::1", "2001:DB8:0::2"]),
        # An allow closes the list.
        ("allow 192.0.2.0/24", ["192.0.2.9"], ["198.51.100.1", "2001:db8::1", ""]),
        ("allow 192.0.2.0/24\nallow unix", ["192.0.2.9", ""], ["198.51.100.1"]),
        ("allow unix", [""], ["192.0.2.9", "::1"]),
        ("allow 0.0.0.0/0", ["192.0.2.9"], ["2001:db8::1", ""]),
        ("deny all", [], ["192.0.2.9", "::1", ""]),
        ("deny unix", ["192.0.2.9"], [""]),
        ("allow all", ["192.0.2.9", "::1", ""], []),
        # The most specific network wins, whatever the order.
        (
            "deny 10.1.0.0/16\nallow 10.0.0.0/8\nallow 10.1.1.0/24\ndeny 10.1.1.1",
            ["10.2.0.1", "10.1.1.2"],
            ["10.1.2.1", "10.1.1.1", "192.0.2.1"],
        ),
        ("allow 10.0.0.0/8\ndeny all", ["10.0.0.1"], ["192.0.2.1", "::1", ""]),
        # Of two for the same network, the denial.
        ("deny 10.0.0.1\nallow 10.0.0.1\nallow 10.0.0.0/8", ["10.0.0.2"], ["10.0.0.1"]),
        # And the list stays closed: nobody gets in because the only guest was blocked.
        ("allow 10.0.0.1\ndeny 10.0.0.1/32", [], ["10.0.0.1", "10.0.0.2"]),
        ("deny all\nallow all", [], ["10.0.0.1"]),
        # A blocklist with an exception is open to the rest when it says so.
        (
            "deny 10.0.0.0/8\nallow 10.0.0.1\nallow all",
            ["10.0.0.1", "192.0.2.1", "::1", ""],
            ["10.0.0.2"],
        ),
        ("deny all\nallow unix", [""], ["192.0.2.1"]),
        # IPv4 in IPv6 clothes is IPv4, on both sides.
        ("deny ::ffff:192.0.2.0/120", ["198.51.100.1", "::1"], ["192.0.2.1", "::ffff:192.0.2.1"]),
        ("deny ::ffff:192.0.2.1", ["192.0.2.2"], ["192.0.2.1"]),
        ("deny ::/0", ["192.0.2.1"], ["::1", "2001:db8::1"]),
    ],
)
def test_a_list_admits_and_denies(text: str, admitted: list[str], denied: list[str]) -> None:
    access = rules(text)
    for address in admitted:
        assert access.admits(address, "/"), address
    for address in denied:
        assert not access.admits(address, "/"), address


@pytest.mark.parametrize(
    ("text", "admitted", "denied"),
    [
        # A path is open where nothing closes it.
        (
            "allow 10.0.0.0/8 /admin",
            [("10.0.0.1", "/admin"), ("192.0.2.1", "/"), ("192.0.2.1", "/administrator")],
            [("192.0.2.1", "/admin"), ("192.0.2.1", "/admin/"), ("192.0.2.1", "/admin/x/y")],
        ),
        # The innermost closed list decides whom it admits: it may be stricter, and it may be wider.
        (
            "allow 10.0.0.0/8\nallow 10.1.0.0/16 /admin\nallow all /hook/",
            [("10.2.0.1", "/"), ("10.1.0.1", "/admin"), ("192.0.2.1", "/hook"), ("::1", "/hook/x")],
            [("192.0.2.1", "/"), ("10.2.0.1", "/admin/x"), ("192.0.2.1", "/hooks")],
        ),
        # Who is denied further out is denied further in.
        (
            "deny 10.1.0.1\nallow 10.1.0.0/16 /admin\nallow all /hook",
            [("10.1.0.2", "/admin"), ("10.1.0.2", "/hook")],
            [("10.1.0.1", "/"), ("10.1.0.1", "/admin"), ("10.1.0.1", "/hook")],
        ),
        # And a denial further in holds there only.
        (
            "allow 10.0.0.0/8\ndeny 10.1.0.0/16 /admin",
            [("10.1.0.1", "/"), ("10.2.0.1", "/admin")],
            [("10.1.0.1", "/admin"), ("192.0.2.1", "/admin")],
        ),
        # A path that may be read in two ways must be admitted in both.
        (
            "deny all /admin",
            [("10.0.0.1", "/x/../y"), ("10.0.0.1", "//x"), ("10.0.0.1", "/x/.../admin")],
            [
                ("10.0.0.1", "//admin"),
                ("10.0.0.1", "/./admin"),
                ("10.0.0.1", "/x/../admin/y"),
                ("10.0.0.1", "/../admin"),
                ("10.0.0.1", "/x//../admin"),
                ("10.0.0.1", "/admin/../x"),
                ("10.0.0.1", "/admin//"),
            ],
        ),
        ("deny all /café", [], [("10.0.0.1", "/café".encode().decode("latin-1"))]),
        ("deny all /a b # c", [("10.0.0.1", "/a")], [("10.0.0.1", "/a b")]),
    ],
)
def test_the_lists_of_a_path_work_together(
    text: str, admitted: list[tuple[str, str]], denied: list[tuple[str, str]]
) -> None:
    access = rules(text)
    for address, path in admitted:
        assert access.admits(address, path), (address, path)
    for address, path in denied:
        assert not access.admits(address, path), (address, path)


@pytest.mark.parametrize(
    "address", ["unknown", "192.0.2", "192.0.2.1:80", "_hidden", "unix", "all"]
)
def test_what_is_no_address_is_denied_wherever_there_is_a_rule(address: str) -> None:
    access = rules("allow all /shop\ndeny 192.0.2.1 /admin")
    assert not access.admits(address, "/shop")
    assert not access.admits(address, "/admin")
    assert access.admits(address, "/")


def test_comments_and_empty_lines_are_no_rules() -> None:
    text = "# all\n\n   \n\tdeny\t 192.0.2.1   /a#b \t# why\ndeny 192.0.2.2# no comment\n"
    with pytest.raises(ValueError, match=r'^5: "192\.0\.2\.2#" is not a network'):
        list(parse_rules(text))
    (rule,) = parse_rules(text.rpartition("deny")[0])
    assert (rule.allows, str(rule.who), rule.path) == (False, "192.0.2.1/32", "/a#b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("192.0.2.1", '"192.0.2.1" is not a rule; write it as "deny 192.0.2.0/24 /path"'),
        ("block 192.0.2.1", '"block 192.0.2.1" is not a rule'),
        ("deny", '"deny" is not a rule'),
        ("deny 192.0.2.1/24", '"192.0.2.1/24" is not a network; did you mean "192.0.2.0/24"?'),
        ("deny everybody", '"everybody" is not a network'),
        ("deny 192.0.2.1 admin", '"admin" does not begin with "/"'),
    ],
)
def test_a_wrong_rule_is_explained(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"is not|does not") as caught:
        parse_rule(text)
    assert str(caught.value).startswith(message)


addresses = st.ip_addresses(v=4, network="192.0.2.0/28") | st.ip_addresses(
    v=6, network="fd00::/124"
)


@st.composite
def networks(draw: st.DrawFn) -> str:
    address = draw(addresses)
    length = address.max_prefixlen - draw(st.integers(0, 5))
    return str(ipaddress.ip_network(f"{address}/{length}", strict=False))


@given(
    st.lists(st.tuples(st.sampled_from(["allow", "deny"]), networks()), min_size=1, max_size=8),
    addresses,
)
def test_the_longest_network_that_has_an_address_decides(
    written: list[tuple[str, str]], address: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> None:
    parsed = [(action == "allow", ipaddress.ip_network(network)) for action, network in written]
    matching = [(network.prefixlen, not allows) for allows, network in parsed if address in network]
    closed = any(allows for allows, _ in parsed)
    expected = not max(matching)[1] if matching else not closed  # of the longest, a denial
    text = "\n".join(" ".join(rule) for rule in written)
    assert rules(text).admits(str(address), "/") is expected


some_paths = st.sampled_from(["/", "/a", "/a/b", "/c"])
some_rules = st.builds(
    "{} {} {}".format, st.sampled_from(["allow", "deny"]), networks() | st.just("all"), some_paths
)


@given(st.lists(some_rules, max_size=6), networks(), some_paths, addresses, some_paths)
def test_one_more_denial_never_admits_anybody(
    written: list[str], network: str, where: str, address: object, path: str
) -> None:
    before = rules("\n".join(written)).admits(str(address), path)
    after = rules("\n".join([*written, f"deny {network} {where}"])).admits(str(address), path)
    assert before or not after


def test_the_asterisk_of_options_is_the_whole_site() -> None:
    assert not rules("deny 192.0.2.1").admits("192.0.2.1", "*")
    assert rules("deny 192.0.2.1 /a").admits("192.0.2.1", "*")


def test_a_path_of_many_slashes_costs_no_more_than_a_long_one() -> None:
    access = rules("deny 192.0.2.1 /a/b\ndeny 192.0.2.2")
    began = time.perf_counter()
    for _ in range(100):
        access.admits("192.0.2.3", "/" * 8000)
    assert time.perf_counter() - began < 1


def test_many_rules_cost_no_more_than_few() -> None:
    many = "\n".join(f"deny {ipaddress.IPv4Address(0x0A000000 + 2 * n)}" for n in range(20_000))
    clients = [str(ipaddress.IPv4Address(0x0A000000 + n)) for n in range(5_000)]

    def seconds(access: AccessRules) -> float:
        began = time.perf_counter()
        for client in clients:
            access.admits(client, "/shop/cart")
        return time.perf_counter() - began

    few = min(seconds(rules("deny 192.0.2.1")) for _ in range(3))
    assert min(seconds(rules(many)) for _ in range(3)) < 10 * few
