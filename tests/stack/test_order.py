"""Whoever starts first, nginx serves with all workers."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.harness.fetch import fetch
from tests.harness.waiting import wait_until
from tests.stack.project import FACT_SECONDS, Project, attempt

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


def known(project: Project) -> int | None:
    """How many workers nginx knows, by the snapshot; None while nobody can say."""
    command = project.command("exec", "-T", "server", "basculectl", "status", "--json")
    found = attempt(*command, environment=project.environment).stdout
    number: int | None = json.loads(found)["nginx"]["workers"] if found else None
    return number


def is_healthy(project: Project) -> bool:
    """Whether status finds nothing wrong."""
    command = project.command("exec", "-T", "server", "basculectl", "status")
    return attempt(*command, environment=project.environment).returncode == 0


def with_workers(project: Project, workers: int) -> Project:
    """The same project with another setting."""
    project.settings = {**project.settings, "WORKERS": str(workers)}
    return project


@pytest.mark.parametrize("workers", [4, 1])
def test_nginx_that_starts_before_the_workers_learns_how_many_they_are(
    make_project: Callable[..., Project], workers: int
) -> None:
    project = make_project(settings={"WORKERS": str(workers)})
    project.compose("up", "--detach", "--no-build", "--no-deps", "nginx")
    wait_until(
        lambda: fetch(project.address(), "/").status == 502,
        "an error page",
        limit=FACT_SECONDS,
        passing=(OSError,),
    )
    project.compose("up", "--detach", "--no-build", "--no-deps", "server")
    wait_until(lambda: known(project) == workers, f"{workers} workers", limit=FACT_SECONDS)
    wait_until(lambda: is_healthy(project), "a healthy stack", limit=FACT_SECONDS)
    assert fetch(project.address(), "/alice").status == 200

    other = 5 - workers
    with_workers(project, other)
    project.compose("up", "--detach", "--no-build", "--no-deps", "server")
    wait_until(lambda: known(project) == other, f"{other} workers", limit=FACT_SECONDS)
    wait_until(lambda: is_healthy(project), "a healthy stack", limit=FACT_SECONDS)

    project.compose("stop")
    assert project.inspect("nginx")["State"]["ExitCode"] == 0
    project.compose("start", "nginx")
    project.compose("start", "server")
    wait_until(lambda: known(project) == other, f"{other} workers again", limit=FACT_SECONDS)
