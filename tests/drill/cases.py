"""The cases: what is done to a stack, and what of it may fail."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.drill.case import Case, Kill, Record, Then
from tests.drill.stack import Stack
from tests.harness.tree import LIMIT
from tests.harness.waiting import wait_until
from tests.load.account import Failure
from tests.load.kinds import SLOW

KILLS = 1  # of each worker
# nginx sees within this time (seconds) that a killed worker's connections are closed. A POST that it
# sends on one of them before that it may not send again: for all it knows the worker has had it.
NOTICED = 0.1
RELOADS = 2
MAX_MEMORY = 64 << 20  # bytes; a worker has some 30 MiB at its start


def restart(stack: Stack, record: Record) -> None:
    """Restart each worker in turn."""
    with all_new(stack):
        stack.must("ops/restart")


@contextmanager
def all_new(stack: Stack) -> Iterator[None]:
    """See that none of the workers' processes is one of those before the block."""
    before = stack.processes()
    yield
    after = stack.processes()
    assert before
    assert after
    assert not set(before.values()) & set(after.values())


def recycle(stack: Stack, record: Record) -> None:
    """Wait until each worker has been replaced because it reached a limit."""
    workers = set(stack.processes())

    def all_replaced() -> bool:
        messages = [line["message"] for line in stack.log() if line["event"] == "recycled"]
        return all(any(f"{name} is back" in text for text in messages) for name in workers)

    wait_until(all_replaced, "each worker to be recycled", limit=LIMIT)


def answered(stack: Stack, kind: str) -> int:
    """Return how many requests of a kind nginx has answered."""
    lines = (line for line in stack.log() if line["worker"] == "nginx")
    return sum(line.get("target", "").startswith(f"/{kind}?") for line in lines)


def kill(stack: Stack, record: Record) -> None:
    """Kill each worker, and wait until it is back, a few times.

    nginx tries each worker once for a request: the next is killed when the GETs are answered
    that had to move from the one before.
    """
    for _ in range(KILLS):
        for name, process in stack.processes().items():
            before = {kind.name: answered(stack, kind.name) for kind in SLOW}
            began = time.monotonic()
            stack.kill(process)
            record.killed.append(Kill(name, began, time.monotonic() + NOTICED))
            wait_until(
                lambda name=name, killed=process: stack.processes().get(name, killed) != killed,
                f"{name} to come back",
                limit=LIMIT,
            )
            for kind in SLOW:
                if kind.method == "GET":
                    enough = before[kind.name] + kind.clients
                    wait_until(
                        lambda name=kind.name, enough=enough: answered(stack, name) >= enough,
                        f"an end of each {kind.name} that moved",
                        limit=LIMIT,
                    )


def reload_nginx(stack: Stack, record: Record) -> None:
    """Have nginx read its configuration again, and wait for its new processes."""
    for _ in range(RELOADS):
        before = stack.nginx_children()
        stack.hang_up()
        # A child that is leaving finishes what it has, the slow requests among them.
        wait_until(
            lambda old=before: not old & stack.nginx_children(),
            "nginx's old processes to end",
            limit=LIMIT,
        )


def deploy(stack: Stack, record: Record) -> None:
    """Deploy new code or other settings, then go back to those before."""
    with all_new(stack):
        stack.must("ops/deploy", *stack.good_release(), BASCULE_THREADS="9")
    with all_new(stack):
        stack.must("ops/rollback", BASCULE_THREADS="9")


def scale(stack: Stack, record: Record) -> None:
    """Go from two workers to three, and to one."""
    for number in (3, 1):
        stack.must("ops/scale", str(number))
        assert len(stack.processes()) == number
        assert len(stack.upstreams()) == number


def deploy_bad(stack: Stack, record: Record) -> None:
    """Try to deploy an application that fails each request, and one that does not load."""
    before = stack.processes()
    for arguments, settings in stack.bad_releases():
        done = stack.run("ops/deploy", "--timeout", "5", *arguments, **settings)
        assert done.returncode == 1, done.stdout + done.stderr
    assert stack.processes() == before


def stop(stack: Stack, record: Record) -> None:
    """Stop the containers."""
    record.stop_began = time.monotonic()
    stack.must("docker", "compose", "stop")


def was_on_the_killed_worker(failure: Failure, record: Record) -> bool:
    """Allow what cannot be sent again: a POST that the worker had, an answer that had begun."""
    victims = [each.name for each in record.killed if failure.was_in_flight(each.began, each.ended)]
    lines = record.lines.get(failure.token, [])
    upstream = " ".join(line["upstream"] for line in lines if line["worker"] == "nginx")
    was_there = any(re.search(rf"{name}\.sock$", upstream) for name in victims)
    return was_there and (failure.kind.method == "POST" or "within the answer" in failure.reason)


def came_too_late(failure: Failure, record: Record) -> bool:
    """Allow what nginx did not take any more: its log has no line of it."""
    return failure.ended > record.stop_began and failure.token not in record.lines


LOCAL = (
    Case("restart", restart),
    Case("restart of a lone worker", restart, {"WORKERS": "1"}),
    Case("recycled by --max-requests", recycle, {"BASCULE_MAX_REQUESTS": "500"}),
    Case(
        "lone worker recycled by --max-requests",
        recycle,
        {"WORKERS": "1", "BASCULE_MAX_REQUESTS": "800"},
    ),
    Case(
        "recycled by --max-memory",
        recycle,
        {"BASCULE_MAX_MEMORY": str(MAX_MEMORY), "LOAD_LEAK": "40000"},
    ),
    Case("killed", kill, may_fail=was_on_the_killed_worker),
    Case("nginx reloaded", reload_nginx),
    Case("deploy and rollback", deploy),
    Case("deploy with a lone worker", deploy, {"WORKERS": "1"}),
    Case("deploy that fails", deploy_bad),
    Case("scale up and down", scale),
)
# A leak is made by a setting of the load's own, which the containers are not told.
IN_CONTAINERS = (
    *(case for case in LOCAL if "LOAD_LEAK" not in case.settings),
    Case("docker compose stop", stop, may_fail=came_too_late, then=Then.IS_STOPPED),
)
