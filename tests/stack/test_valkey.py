"""The rate limit across machines: the real Valkey, hammered, gone and back again."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

import pytest

from tests.harness.fetch import fetch
from tests.harness.waiting import wait_until
from tests.middleware.workers import answers, hammering
from tests.stack.project import FACT_SECONDS, CommandError, Project
from tests.stack.test_hardening import NO_CAPABILITY, UID, process_statuses

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

PATIENCE = 5.0  # seconds that no request may take, whatever Valkey does


@pytest.fixture(scope="module")
def shared(make_project: Callable[..., Project]) -> Project:
    """Return a stack whose limits are counted in Valkey."""
    chain = {"BASCULE_CHAIN": "app/examples/ratelimit-valkey.toml"}
    project = make_project(profiles=("valkey",), settings=chain)
    project.up()
    return project


def keys(stack: Project) -> int:
    return int(stack.execute("valkey", "valkey-cli", "dbsize"))


def changes(stack: Project) -> list[tuple[str, str]]:
    """Return what each worker has logged of Valkey's going and coming, in order."""
    return [
        (event["worker"], event["event"])
        for event in stack.events("server")
        if event["event"].startswith("rate_store_")
    ]


def test_eight_processes_are_admitted_exactly_the_limit(shared: Project) -> None:
    (network,) = shared.inspect("valkey")["NetworkSettings"]["Networks"].values()
    url = f"valkey://{network['IPAddress']}:6379"
    # A request that Valkey did not count would be answered 503, and show.
    settings = {
        "limits": ["100/day burst 1000"],
        "valkey": url,
        "timeout": 5.0,
        "fallback": "closed",
    }
    with hammering(8, 12_500, settings) as workers:
        said = answers(workers)
    assert (len(said), said.count("+"), said.count("!")) == (100_000, 1000, 0)


def test_a_request_is_counted_by_every_limit_or_by_none_and_again_after_its_interval(
    shared: Project,
) -> None:
    (network,) = shared.inspect("valkey")["NetworkSettings"]["Networks"].values()
    settings = {
        "limits": ["10/second burst 1 in total", "5/day in total"],
        "valkey": f"valkey://{network['IPAddress']}:6379",
        "timeout": 5.0,
        "fallback": "closed",
    }
    with hammering(1, 10_000, settings) as workers:
        said = answers(workers)
    assert said.count("+") == 5
    assert "!" not in said


def test_the_stack_counts_in_it(shared: Project) -> None:
    replies = [fetch(shared.address(), "/login") for _ in range(5)]
    assert [reply.status for reply in replies] == [200, 200, 200, 429, 429]
    assert changes(shared) == []
    found = shared.execute("valkey", "valkey-cli", "--scan").split()
    assert found
    assert all(key.startswith("bascule:ratelimit:") for key in found)


@pytest.mark.parametrize(("goes", "comes"), [("stop", "start"), ("pause", "unpause")])
def test_requests_are_answered_without_valkey_and_counted_in_it_when_it_is_back(
    goes: str, comes: str, shared: Project
) -> None:
    address = shared.address()
    assert fetch(address, "/").status == 200
    assert keys(shared) > 0
    before = changes(shared)
    shared.compose(goes, "valkey")
    for _ in range(20):
        began = monotonic()
        assert fetch(address, "/").status == 200
        assert monotonic() - began < PATIENCE
    lost = changes(shared)[len(before) :]
    workers = {worker for worker, _ in lost}
    assert workers
    assert sorted(lost) == [(worker, "rate_store_away") for worker in sorted(workers)]
    shared.compose(comes, "valkey")
    wait_until(
        lambda: len(changes(shared)) == len(before) + 2 * len(lost),
        "all workers found Valkey",
        limit=FACT_SECONDS,
    )
    found = changes(shared)[len(before) + len(lost) :]
    assert sorted(found) == [(worker, "rate_store_back") for worker in sorted(workers)]
    assert fetch(address, "/back").status == 200
    assert keys(shared) > 0


def test_valkey_may_do_nothing_but_count(shared: Project) -> None:
    for process in process_statuses(shared, "valkey"):
        assert set(process["Uid"].split() + process["Gid"].split()) == {UID}, process["Name"]
        assert process["NoNewPrivs"] == "1", process["Name"]
        assert process["CapBnd"] == NO_CAPABILITY, process["Name"]
    with pytest.raises(CommandError, match="Read-only file system"):
        shared.execute("valkey", "touch", "/probe")
    host = shared.inspect("valkey")["HostConfig"]
    assert host["PortBindings"] in (None, {})
    assert host["Memory"] > 0
    assert host["PidsLimit"] > 0
    configured = shared.execute("valkey", "valkey-cli", "config", "get", "maxmemory*").split()
    assert {"67108864", "volatile-ttl"} <= set(configured)
