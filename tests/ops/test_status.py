"""ops/status, ops/running and the observer in a stack that is well, busy, and broken."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from bascule_ops.observe.exposition import CONTENT_TYPE

from tests.harness.fetch import fetch
from tests.harness.processes import Process, is_alive
from tests.harness.tree import LIMIT, Tree
from tests.harness.waiting import wait_until
from tests.ops.observed import seconds
from tests.ops.test_exposition import CONTRACT, samples

pytestmark = pytest.mark.integration

QUICK = 5.0  # seconds for a command, whatever hangs

# /spin and /sleep return when the file "over" is there.
STICKS = """
import os, time

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    wait = {"/spin": spin, "/sleep": sleep}.get(environ["PATH_INFO"])
    if wait:
        wait()
    return [b"alice"]

def spin():
    while not os.path.exists("over"):
        sum(range(10000))

def sleep():
    while not os.path.exists("over"):
        time.sleep(0.05)
"""


@pytest.fixture(scope="module")
def stack(venv: Path) -> Iterator[Tree]:
    """A stack of two workers with two threads each, whose application can get stuck."""
    tree = Tree(venv, BASCULE_APP="sticks:application", BASCULE_THREADS="2", BASCULE_TIMEOUT="0")
    (tree.root / "sticks.py").write_text(STICKS)
    done = tree.up()
    assert done.returncode == 0, done.stdout + done.stderr
    yield tree
    (tree.root / "over").touch()
    tree.remove()


def json_of(tree: Tree, *command: str) -> tuple[int, Any]:
    """What a command prints, and its exit status."""
    done = tree.run(*command, "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def failed(document: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["message"] for check in document["checks"] if not check["ok"]}


def is_healthy(tree: Tree) -> bool:
    return tree.run("ops/status").returncode == 0


def process(tree: Tree, name: str) -> dict[str, Any]:
    """What is known of one of supervisord's programs."""
    _, document = json_of(tree, "ops/status")
    (found,) = (each for each in document["processes"] if each["name"] == name)
    return dict(found)


def pid_of(tree: Tree, name: str) -> int:
    """Its process id."""
    return int(process(tree, name)["pid"])


def in_flight(tree: Tree) -> int:
    """How many requests the workers have."""
    _, document = json_of(tree, "ops/status")
    return sum(len(each.get("requests", ())) for each in document["workers"])


@contextmanager
def stuck(tree: Tree, *targets: str) -> Iterator[None]:
    """Requests that stay in flight during the block."""

    clients = [threading.Thread(target=tree.get, args=(target,)) for target in targets]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        (tree.root / "over").touch()
        for client in clients:
            client.join()
        (tree.root / "over").unlink(missing_ok=True)


def test_a_stack_that_is_well_is_healthy_with_a_line_for_each_worker(stack: Tree) -> None:
    for _ in range(20):
        stack.get("/")

    def counted() -> int:
        _, document = json_of(stack, "ops/status")
        metrics = [worker["metrics"] for worker in document["workers"]]
        return sum(sum(each["requests"].values()) for each in metrics)

    # A request is counted when it is over, which its client hears of a moment before.
    wait_until(lambda: counted() >= 20, "all requests to be counted", limit=LIMIT)
    done = stack.run("ops/status")
    assert done.returncode == 0, done.stdout + done.stderr
    first, *lines = done.stdout.splitlines()
    assert first == "healthy: nginx and 2 of 2 workers answer"
    assert f"http://localhost:{stack.status_port}/-/status" in stack.up().stdout
    assert [line.split()[:2] for line in lines if line[:2] in ("0 ", "1 ")] == [
        ["0", "serving"],
        ["1", "serving"],
    ]
    assert "\x1b" not in done.stdout
    requests = [line.split()[-5].replace(",", "") for line in lines if line[:2] in ("0 ", "1 ")]
    assert sum(map(int, requests)) >= 20


@pytest.mark.parametrize("command", ["ops/status", "ops/running", "ops/top --once"])
def test_whoever_reads_them_may_stop(stack: Tree, command: str) -> None:
    done = stack.run("bash", "-c", f"{command} | true")
    assert (done.returncode, done.stderr) == (0, "")


def test_its_json_has_every_part_and_the_page_gives_the_same(stack: Tree) -> None:
    status, document = json_of(stack, "ops/status")
    assert (status, document["healthy"], document["mode"]) == (0, True, "local")
    answered, body = stack.get("/-/status.json", port=stack.status_port)
    assert answered == 200
    assert json.loads(body).keys() == document.keys()
    started = {each["name"] for each in document["processes"] if each["pid"]}
    assert started == {
        "bascule:worker-0",
        "bascule:worker-1",
        "nginx",
        "nginx-follower",
        "observer",
        "process-events",
        "site-events",
    }


def test_the_metrics_are_there_for_this_machine_and_not_on_the_site(stack: Tree) -> None:
    reply = fetch(("localhost", stack.status_port), "/-/metrics")
    assert reply.field("Content-Type") == CONTENT_TYPE
    found = samples(reply.body)
    assert {name for name, _ in found} >= {name for name in CONTRACT if "nginx" not in name}
    answered = [
        found["bascule_requests_total", (("status", "2xx"), ("worker", worker))] for worker in "01"
    ]
    assert sum(answered) >= 20
    for target in ("/-/metrics", "/-/status", "/-/status.json"):
        assert stack.get(target) == stack.get("/")


def test_a_name_from_outside_is_refused_on_the_inside_port(stack: Tree) -> None:
    reply = fetch(stack.status_port, "/-/status.json", fields={"Host": "evil.example"})
    assert reply.status == 421


def test_every_thread_of_every_worker_stuck_is_seen_in_time(stack: Tree) -> None:
    def states() -> list[str]:
        return [each["state"] for each in json_of(stack, "ops/running")[1]["requests"]]

    with ExitStack() as requests:
        # Each worker has one /sleep at least, so that another one waits: for a path that takes long
        # nowhere yet a further place would open.
        sticking, waiting = ("/spin", "/sleep", "/sleep", "/sleep"), ("/sleep?waits",) * 2
        for targets, state in (sticking, "running"), (waiting, "waiting"):
            requests.enter_context(stuck(stack, *targets))
            wait_until(
                lambda: states().count(state) == len(targets),  # noqa: B023
                f"requests {state}",
                limit=LIMIT,
            )
        done: list[subprocess.CompletedProcess[str]] = []
        took = [
            seconds(lambda: done.append(stack.run("ops/running", "--stacks"))),
            seconds(lambda: done.append(stack.run("ops/status"))),
        ]
        print(f"ops/running {took[0]:.2f} s, ops/status {took[1]:.2f} s")
        assert max(took) < QUICK
        running, status = done
        assert running.returncode == 0, running.stderr
        lines = [line for line in running.stdout.splitlines() if " GET " in line]
        states_of = [(line.split(" GET ")[1].split()[0], line) for line in lines]
        assert any("running" in line for path, line in states_of if path == "/spin")
        assert any("sticks.py:" in line for path, line in states_of if path == "/sleep")
        assert sum("waiting" in line for line in lines) == len(waiting)
        assert "application" in running.stdout  # a frame that only --stacks shows
        assert "2 of 2 workers answer" in status.stdout


def test_an_observer_that_dies_takes_nothing_along_and_comes_back(stack: Tree) -> None:
    pid = pid_of(stack, "observer")
    os.kill(pid, signal.SIGKILL)

    def is_back() -> bool:
        return stack.get("/-/metrics", port=stack.status_port)[0] == 200

    wait_until(is_back, "the observer to come back", limit=LIMIT)
    assert pid_of(stack, "observer") != pid
    assert stack.get("/")[0] == 200


def test_a_dead_nginx_is_named(stack: Tree) -> None:
    # It would be started again at once, so it is stopped in the way that nginx cannot see.
    pid = pid_of(stack, "nginx")
    frozen = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    for each in frozen:
        os.kill(each, signal.SIGSTOP)
    try:
        done: list[subprocess.CompletedProcess[str]] = []
        assert seconds(lambda: done.append(stack.run("ops/status"))) < QUICK
    finally:
        for each in frozen:
            os.kill(each, signal.SIGCONT)
    assert done[0].returncode == 1
    assert done[0].stdout.startswith("NOT HEALTHY: nginx (2 of 2 workers answer)\n")


@pytest.mark.parametrize("command", ["ops/status", "ops/running"])
def test_they_explain_themselves_and_refuse_what_they_do_not_know(
    stack: Tree, command: str
) -> None:
    done = stack.run(command, "--help")
    assert (done.returncode, "Exit status 0" in done.stdout) == (0, True)
    done = stack.run(command, "--what")
    assert (done.returncode, done.stdout) == (2, "")
    assert "unknown argument --what" in done.stderr


def test_a_worker_that_is_frozen_is_named_in_time(stack: Tree) -> None:
    # Until then it "is being started", which is no reason to worry.
    wait_until(
        lambda: process(stack, "bascule:worker-1")["state"] == "RUNNING", "worker 1", limit=LIMIT
    )
    pid = pid_of(stack, "bascule:worker-1")
    os.kill(pid, signal.SIGSTOP)
    try:
        done: list[subprocess.CompletedProcess[str]] = []
        assert seconds(lambda: done.append(stack.run("ops/status"))) < QUICK
        assert seconds(lambda: done.append(stack.run("ops/running"))) < QUICK
    finally:
        os.kill(pid, signal.SIGCONT)
    status, running = done
    assert status.returncode == 1
    assert status.stdout.startswith("NOT HEALTHY: worker-1 (1 of 2 workers answer)\n")
    assert f"worker-1 is stopped (process {pid})" in status.stdout
    assert f"remedy: kill -CONT {pid}\n" in status.stdout
    assert running.returncode == 1
    assert f"worker 1: it is stopped: kill -CONT {pid}" in running.stderr


def test_a_worker_that_was_killed_is_a_last_error_when_it_is_back(stack: Tree) -> None:
    # Who ends before that failed to start.
    wait_until(
        lambda: process(stack, "bascule:worker-0")["state"] == "RUNNING", "worker 0", limit=LIMIT
    )
    os.kill(process(stack, "bascule:worker-0")["pid"], signal.SIGKILL)
    wait_until(
        lambda: process(stack, "bascule:worker-0")["last_error"], "the news of its end", limit=LIMIT
    )
    wait_until(lambda: is_healthy(stack), "worker 0 to come back", limit=LIMIT)
    done = stack.run("ops/status")
    assert "Last errors:\n    bascule:worker-0: 2" in done.stdout
    assert "as if it was killed" in done.stdout


def during(tree: Tree, command: str) -> str:
    """What ops/status prints while a command works, healthy all the time."""
    shown = []
    with Process([command], cwd=tree.root, env=tree.environ) as work:
        while work.is_running():
            done = tree.run("ops/status")
            assert done.returncode == 0, done.stdout + done.stderr
            shown.append(done.stdout)
        assert work.status == 0
    return "".join(shown)


def test_a_restart_is_no_fault_and_brings_the_observer_along(stack: Tree) -> None:
    before = pid_of(stack, "observer")

    with stuck(stack, "/sleep", "/sleep"):  # which the old workers have to finish
        wait_until(lambda: in_flight(stack) == 2, "the requests", limit=LIMIT)
        with Process(["ops/restart"], cwd=stack.root, env=stack.environ) as work:
            while "[5/6] nginx learns" not in work.out:
                assert is_healthy(stack)
                assert work.is_running()
            assert is_healthy(stack)
            (stack.root / "over").touch()
            assert work.wait(LIMIT) == 0
    assert pid_of(stack, "observer") != before
    assert is_healthy(stack)


def test_a_deployment_is_no_fault(stack: Tree) -> None:
    shown = during(stack, "ops/deploy")
    assert shown.startswith("healthy: nginx and 2 of 2 workers answer\n")


def test_an_observer_that_cannot_start_leaves_the_site_alone(tree: Tree) -> None:
    (tree.root / "ops/bascule_ops/observe/application.py").write_text(
        "raise RuntimeError('broken')\n"
    )
    assert tree.up().returncode == 0
    wait_until(
        lambda: "broken" in (process(tree, "observer")["last_error"] or ""),
        "the observer to fail",
        limit=LIMIT,
    )
    assert tree.get("/alice")[0] == 200


def test_a_dead_supervisord_is_named_and_the_rest_is_still_seen(tree: Tree) -> None:
    done = tree.up(STATUS_PORT="off")
    assert done.returncode == 0
    assert "Status page" not in done.stdout
    pids = tree.pids()
    # nginx's workers serve on without their master.
    for pid in (int((tree.run_dir / "supervise.pid").read_text()), pid_of(tree, "nginx")):
        os.kill(pid, signal.SIGKILL)
    status, document = json_of(tree, "ops/status")
    assert status == 1
    assert failed(document).keys() == {"supervisor"}
    assert document["nginx"]["up"]
    assert tree.run("ops/running").stdout == "No request is in flight.\n"
    assert tree.run("ops/down").returncode == 0
    wait_until(lambda: not any(map(is_alive, pids)), "everything to end", limit=LIMIT)
    for command in ("ops/status", "ops/running"):
        done = tree.run(command)
        assert (done.returncode, done.stdout) == (3, "")
        # Where there is a container engine that does not answer, that is said as well.
        assert done.stderr.startswith(f"{command}: the stack does not run")
        assert done.stderr.endswith("; ops/up starts it\n")
    status, nothing = json_of(tree, "ops/status")
    assert (status, nothing["healthy"], nothing["mode"]) == (3, False, "none")
    assert nothing.keys() == document.keys()
    assert failed(nothing).keys() == {"stack"}
