"""ops/status, ops/running and the inside listener with containers."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.harness.fetch import fetch
from tests.stack.project import Project, attempt, run

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

QUICK = 5.0  # seconds for a command
SCRAPE = """
import urllib.request
print(urllib.request.urlopen("http://nginx:8081/-/metrics").read().decode())
"""


def command(stack: Project, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one of the scripts in ops/ for this project, in time."""
    began = time.monotonic()
    done = attempt(*words, environment={**stack.environment, "COMPOSE_PROJECT_NAME": stack.name})
    took = time.monotonic() - began
    print(f"{words[0]} {took:.2f} s")
    assert took < QUICK
    return done


@contextmanager
def paused(stack: Project, service: str) -> Iterator[None]:
    """A service whose processes stand still during the block."""
    run("docker", "pause", stack.container(service))
    try:
        yield
    finally:
        run("docker", "unpause", stack.container(service))


def test_a_stack_that_is_well_is_healthy(stack: Project) -> None:
    done = command(stack, "ops/status", "--json")
    document = json.loads(done.stdout)
    failed = [check for check in document["checks"] if not check["ok"]]
    assert (done.returncode, document["mode"], failed) == (0, "docker", [])
    assert document["nginx"]["requests"] > 0
    done = command(stack, "ops/running")
    assert (done.returncode, done.stderr) == (0, "")


def test_metrics_and_the_page_are_published_for_this_machine_alone(stack: Project) -> None:
    bindings = stack.inspect("nginx")["NetworkSettings"]["Ports"]["8081/tcp"]
    assert [each["HostIp"] for each in bindings] == ["127.0.0.1"]
    inside = ("127.0.0.1", int(bindings[0]["HostPort"]))
    reply = fetch(inside, "/-/metrics")
    assert reply.status == 200
    assert b'bascule_worker_up{worker="1"} 1.0' in reply.body
    assert fetch(inside, "/-/status").fields["content-type"] == "text/html; charset=utf-8"
    assert fetch(inside, "/-/status.json", fields={"Host": "evil.example"}).status == 421
    for target in ("/-/metrics", "/-/status", "/-/status.json"):
        assert fetch(stack.address(), target).status == 404


def test_metrics_can_be_scraped_from_the_projects_network(stack: Project) -> None:
    page = stack.execute("server", "python3", "-c", SCRAPE)
    assert "\nbascule_nginx_up 1.0\n" in page


def test_an_nginx_that_stands_still_is_named(stack: Project) -> None:
    with paused(stack, "nginx"):
        done = command(stack, "ops/status")
    assert done.returncode == 1
    assert done.stdout.startswith("NOT HEALTHY: nginx (2 of 2 workers answer)\n")


def test_a_server_whose_container_does_not_run_is_named(stack: Project) -> None:
    with paused(stack, "server"):
        told = command(stack, "ops/status")
        document = json.loads((as_json := command(stack, "ops/status", "--json")).stdout)
        running = command(stack, "ops/running")
    assert (told.returncode, as_json.returncode, running.returncode) == (1, 1, 1)
    assert told.stdout.startswith(
        "NOT HEALTHY: server (0 of 2 workers answer)\n"
        "! the container of server stands still: somebody paused it\n"
    )
    assert [check["name"] for check in document["checks"] if not check["ok"]] == ["server"]
    assert (document["healthy"], document["nginx"]["up"]) == (False, True)
    assert "the container of server does not run" in running.stderr


def test_a_project_that_does_not_run_is_told_by_its_exit_status() -> None:
    nothing = Project(name="bascule-test-nothing", image_tag="none")
    done = command(nothing, "ops/status", "--json")
    assert (done.returncode, json.loads(done.stdout)["healthy"]) == (3, False)
