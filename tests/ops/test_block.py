"""Who is blocked: the list, the names that nginx asks for, and ops/block in a running stack."""

from __future__ import annotations

import ipaddress
import json
import os
import random
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bascule_ops.blocking.blocks import Blocks
from bascule_ops.blocking.guard import objection
from bascule_ops.blocking.markers import markers, parse, written

from tests.harness.fetch import Connection, ask, connect
from tests.harness.processes import ROOT
from tests.harness.tree import LIMIT, Tree
from tests.harness.waiting import wait_until

TEMPLATE = ROOT / "nginx" / "templates" / "15-blocked.conf.template"
BLOCKED = "127.0.0.66"  # a client's address that the loopback interface has, too


# --- The names ---


@pytest.mark.parametrize(
    ("network", "names"),
    [
        ("203.0.113.7", ["203.0.113.7"]),
        ("::ffff:203.0.113.7", ["203.0.113.7"]),
        ("203.0.113.0/24", ["203.0.113"]),
        ("203.0.112.0/23", ["203.0.112", "203.0.113"]),
        ("203.0.113.4/31", ["203.0.113.4", "203.0.113.5"]),
        ("198.18.0.0/15", ["198.18", "198.19"]),
        ("2001:DB8::7", ["2001:db8::7"]),
        ("2001:db8:0:7::/64", ["2001:db8:0:7"]),
        ("2001:db8:0:6::/63", ["2001:db8:0:6", "2001:db8:0:7"]),
        ("2001:db8::/48", ["2001:db8:0"]),
    ],
)
def test_a_network_has_the_names_that_nginx_asks_for(network: str, names: list[str]) -> None:
    assert markers(parse(network)) == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("everybody", "write an address"),
        ("203.0.113.7/24", "did you mean 203.0.113.0/24?"),
        ("0.0.0.0/0", "the largest is a /9"),
        ("10.0.0.0/8", "the largest is a /9"),
        ("::/0", "only addresses can be blocked"),
        ("2001:db8::/32", "a /40 to /48, or a /56 to /64"),
        ("2001:db8::/52", "a /40 to /48, or a /56 to /64"),
        ("2001:db8::/80", "block 2001:db8::/64"),
        ("fe80::1%eth0", "without it"),
        ("../worker-0.sock", "write an address"),
    ],
)
def test_what_cannot_be_blocked_is_refused_with_a_remedy(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        markers(parse(text))


def names_that_nginx_asks_for(address: str) -> set[str]:
    """What the template's maps make of $remote_addr."""
    names = {address}
    for table in re.findall(r"^map \$remote_addr .*?^}", TEMPLATE.read_text(), re.M | re.S):
        for expression, value in re.findall(r'"~(\S+)" +(\S+);', table):
            if match := re.search(expression, address):
                names.add(re.sub(r"\$(\d)", lambda which, m=match: m[int(which[1])], value))
                break
    return names


def addresses() -> list[str]:
    """Addresses of both versions, many of them with groups of zeros."""
    chance = random.Random(6)
    fours = [str(ipaddress.IPv4Address(chance.getrandbits(32))) for _ in range(200)]
    sixes = []
    for _ in range(2000):
        groups = [chance.choice((0, 0, 1, chance.getrandbits(16))) for _ in range(7)]
        text = ":".join(f"{group:x}" for group in [chance.randint(1, 0xFFFF), *groups])
        sixes.append(str(ipaddress.IPv6Address(text)))
    return fours + sixes


def test_nginx_asks_for_exactly_the_networks_that_an_address_is_in() -> None:
    for address in addresses():
        sizes = (16, 24) if "." in address else (48, 64)
        networks = [ipaddress.ip_network(f"{address}/{size}", strict=False) for size in sizes]
        expected = {address, *(name for network in networks for name in markers(network))}
        assert names_that_nginx_asks_for(address) == expected, address


@pytest.mark.parametrize("text", ["127.0.0.1", "127.0.0.0/9", "::1", "192.0.2.0/24"])
def test_this_machine_and_its_gateway_are_objected_to(text: str, tmp_path: Path) -> None:
    routes = tmp_path / "route"
    routes.write_text(
        "Iface\tDestination\tGateway\tFlags\n"
        "eth0\t00000000\t010200C0\t0003\n"
        "eth0\t000200C0\t00000000\t0001\n"
    )
    assert objection(parse(text), routes)
    assert not objection(parse("198.51.100.7"), routes)
    assert not objection(parse("2001:db8::7"), routes)


# --- The list ---


def files(run_dir: Path) -> set[str]:
    return {path.name for path in (run_dir / "blocked").iterdir()}


def test_a_block_is_kept_and_its_file_goes_with_it(tmp_path: Path) -> None:
    blocks = Blocks(tmp_path)
    assert blocks.read() == []
    made = blocks.add(parse("203.0.113.0/24"), None, "a flood")
    assert Blocks(tmp_path).read() == [made]
    assert files(tmp_path) == {"203.0.113"}
    assert blocks.remove(parse("203.0.113.0/24"))
    assert not blocks.remove(parse("203.0.113.0/24"))
    assert (blocks.read(), files(tmp_path)) == ([], set())


def test_blocking_twice_changes_the_end_and_keeps_the_beginning(tmp_path: Path) -> None:
    blocks = Blocks(tmp_path)
    first = blocks.add(parse("203.0.113.7"), None, "a flood")
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    second = blocks.add(parse("203.0.113.7"), until, "")
    assert blocks.read() == [second]
    assert (second.since, second.until, second.reason) == (first.since, until, "a flood")


def test_networks_that_share_a_file_keep_it_until_both_are_gone(tmp_path: Path) -> None:
    blocks = Blocks(tmp_path)
    blocks.add(parse("203.0.113.4/31"), None, "")
    blocks.add(parse("203.0.113.5"), None, "")
    blocks.remove(parse("203.0.113.4/31"))
    assert files(tmp_path) == {"203.0.113.5"}


def test_only_what_is_over_expires(tmp_path: Path) -> None:
    blocks = Blocks(tmp_path)
    now = datetime.now(UTC)
    assert blocks.expire(now) == []
    for_ever = blocks.add(parse("203.0.113.1"), None, "")
    short = blocks.add(parse("203.0.113.2"), now + timedelta(seconds=5), "")
    assert blocks.expire(now) == []
    assert blocks.expire(now + timedelta(seconds=6)) == [short]
    assert (blocks.read(), files(tmp_path)) == ([for_ever], {"203.0.113.1"})


def test_many_who_block_at_once_lose_nothing(tmp_path: Path) -> None:
    networks = [parse(f"203.0.113.{number}") for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda network: Blocks(tmp_path).add(network, None, ""), networks))
    assert {block.network for block in Blocks(tmp_path).read()} == set(networks)
    assert files(tmp_path) == {written(network) for network in networks}


# --- A running stack ---


def client(tree: Tree, address: str = BLOCKED) -> Connection:
    """A client of that address, with a connection that stays open."""
    if "." in address:
        return connect(tree.port, limit=10, source=address)
    return connect((address, tree.port), limit=10)


def status(connection: Connection, target: str = "/alice") -> int:
    return ask(connection, target).status


def block(tree: Tree, *words: str) -> str:
    done = tree.run("ops/block", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def unblock(tree: Tree, *words: str) -> str:
    done = tree.run("ops/unblock", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.integration
def test_a_block_holds_on_open_connections_at_once_and_others_lose_nothing(running: Tree) -> None:
    workers = running.worker_pids()
    abuser = client(running)
    with running.load() as failures:
        for _ in range(5):
            assert status(abuser) == 200
            said = f"{BLOCKED} is blocked until ops/unblock or ops/down\n"
            assert block(running, BLOCKED, "--force") == said
            assert [status(abuser), status(abuser, "/static/bascule.svg")] == [403, 403]
            assert unblock(running, BLOCKED) == f"{BLOCKED} is no longer blocked\n"
    assert failures == []
    assert status(abuser) == 200
    assert running.worker_pids() == workers
    abuser.close()


@pytest.mark.integration
def test_a_refusal_says_so_in_the_log_and_no_worker_hears_of_it(running: Tree) -> None:
    block(running, BLOCKED, "--force")
    abuser = client(running)
    abuser.request("POST", "/refused", b"x" * 300_000)
    answer = abuser.getresponse()
    request_id = answer.headers["X-Request-ID"]
    assert (answer.status, answer.headers["Content-Type"]) == (403, "text/plain")
    assert request_id in answer.read().decode()
    wait_until(lambda: lines(running, request_id), "the line in the log", limit=LIMIT)
    (line,) = lines(running, request_id)
    assert (line["worker"], line["status"], line["blocked"]) == ("nginx", 403, True)
    abuser.close()
    unblock(running, BLOCKED)


def lines(tree: Tree, request_id: str) -> list[dict[str, object]]:
    return [line for line in tree.log() if line.get("request_id") == request_id]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("127.66.1.0/24", "127.66.1.200", "127.66.2.1"),
        ("127.66.0.0/15", "127.67.200.1", "127.68.0.1"),
        ("127.66.1.8/30", "127.66.1.11", "127.66.1.12"),
        ("::1", "::1", "127.0.0.1"),
    ],
)
def test_a_network_is_blocked_and_its_neighbour_is_not(
    running: Tree, network: str, inside: str, outside: str
) -> None:
    block(running, network, "--force")
    connections = [client(running, inside), client(running, outside)]
    assert [status(each) for each in connections] == [403, 200]
    unblock(running, "--all")
    assert [status(each) for each in connections] == [200, 200]
    for each in connections:
        each.close()


@pytest.mark.integration
def test_the_list_tells_who_since_when_until_when_and_why(running: Tree) -> None:
    assert block(running, "--list") == "Nobody is blocked.\n"
    block(running, "203.0.113.7", "--for", "1h", "--reason", "a “flood”")
    (told,) = json.loads(block(running, "--list", "--json"))
    since, until = (datetime.fromisoformat(told[key]) for key in ("since", "until"))
    assert until - since == timedelta(hours=1)
    assert (told["network"], told["reason"]) == ("203.0.113.7", "a “flood”")
    head, row = block(running, "--list").splitlines()
    assert head.split() == ["NETWORK", "SINCE", "UNTIL", "REASON"]
    assert row.split(maxsplit=3) == ["203.0.113.7", told["since"], told["until"], "a “flood”"]
    unblock(running, "--all")


@pytest.mark.integration
def test_a_block_outlives_workers_and_nginx_and_ends_after_its_time(running: Tree) -> None:
    block(running, BLOCKED, "--force", "--for", "1d")
    assert running.run("ops/restart").returncode == 0
    nginx = int((running.run_dir / "nginx" / "nginx.pid").read_text())
    os.kill(nginx, signal.SIGKILL)
    wait_until(
        lambda: is_refused(running), "nginx to be back and to refuse the client", limit=LIMIT
    )
    block(running, BLOCKED, "--force", "--for", "1s")
    wait_until(lambda: not is_refused(running), "the block to end", limit=LIMIT)
    told = [line for line in running.log() if line["event"] == "unblocked"]
    assert [line["network"] for line in told] == [BLOCKED]


def is_refused(tree: Tree) -> bool:
    connection = client(tree)
    try:
        return status(connection) == 403
    except OSError:
        return False
    finally:
        connection.close()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["ops/block"], "ops/block: name an address or a network, or --list;"),
        (["ops/block", "127.0.0.1"], "127.0.0.1: that is this machine itself"),
        (["ops/block", "203.0.113.9", "--for", "soon"], '"soon" is no time; write it as 30s'),
        (["ops/block", "203.0.113.9", "--list"], "ops/block: name an address"),
        (["ops/unblock"], "ops/unblock: name an address or a network, or --all;"),
        (["ops/unblock", "0.0.0.0/0"], "the largest is a /9"),
    ],
)
def test_a_wrong_call_changes_nothing_and_says_what_is_wrong(
    running: Tree, command: list[str], message: str
) -> None:
    done = running.run(*command)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert block(running, "--list") == "Nobody is blocked.\n"


@pytest.mark.integration
def test_an_address_in_a_blocked_network_is_said_to_stay_blocked(running: Tree) -> None:
    block(running, "203.0.113.0/24")
    done = running.run("ops/unblock", "203.0.113.7")
    assert done.returncode == 1
    assert (done.stdout, done.stderr) == (
        "203.0.113.7 was not blocked\n",
        "ops/unblock: 203.0.113.0/24 is blocked, and 203.0.113.7 with it\n",
    )
    unblock(running, "203.0.113.0/24")


@pytest.mark.integration
@pytest.mark.parametrize("command", ["ops/block", "ops/unblock"])
def test_where_nothing_runs_it_says_so(tree: Tree, command: str) -> None:
    done = tree.run(command, "203.0.113.7")
    assert (done.returncode, done.stderr) == (
        1,
        f"{command}: the stack does not run; ops/up starts it\n",
    )
    assert tree.run(command, "--help").stdout.startswith(f"usage: {command} ")
