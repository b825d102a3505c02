"""ops/status, ops/running and the inside listener with containers."""

from __future__ import annotations

import json
import shlex
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
        assert fetch(stack.address(), target).body == f"<h1>Hello, {target[1:]}!</h1>".encode()


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


@contextmanager
def filled(stack: Project, service: str, place: str) -> Iterator[None]:
    """A file system of a service's container without a byte left during the block."""
    stack.execute(service, "sh", "-c", f"head -c 4G /dev/zero >{place}/ballast 2>/dev/null || true")
    try:
        yield
    finally:
        stack.execute(service, "rm", f"{place}/ballast")


def test_a_full_place_for_temporary_files_blinds_nobody(stack: Project) -> None:
    with filled(stack, "server", "/tmp"):
        status = command(stack, "ops/status")
        others = [command(stack, *words) for words in (("ops/running",), ("ops/top", "--once"))]
        page = stack.execute("server", "python3", "-c", SCRAPE)
    assert status.returncode == 1
    assert "! /tmp has 0 MiB left of 256\n  remedy: " in status.stdout
    assert [(done.returncode, done.stderr) for done in others] == [(0, ""), (0, "")]
    assert "\nbascule_nginx_up 1.0\n" in page


def test_an_nginx_that_cannot_keep_an_upload_is_named(stack: Project) -> None:
    with filled(stack, "nginx", "/run/nginx"):
        status = command(stack, "ops/status")
    assert status.returncode == 1
    assert "! nginx cannot write to its disk" in status.stdout
    assert command(stack, "ops/status").returncode == 0


def test_a_worker_that_is_stopped_goes_on_when_the_remedy_is_done(stack: Project) -> None:
    document = json.loads(command(stack, "ops/status", "--json").stdout)
    assert document["memory"]["limit_bytes"] == 1 << 30
    pid = document["workers"][1]["pid"]
    stack.execute("server", "sh", "-c", f"kill -STOP {pid}")
    document = json.loads(command(stack, "ops/status", "--json").stdout)
    (check,) = (check for check in document["checks"] if not check["ok"])
    assert check["message"].startswith(f"worker-1 is stopped (process {pid})")
    assert check["remedy"] == f"docker compose exec server sh -c 'kill -CONT {pid}'"
    stack.execute("server", *shlex.split(check["remedy"])[4:])
    assert command(stack, "ops/status").returncode == 0
