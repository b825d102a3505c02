"""An application that takes its time to load, or that cannot be loaded yet, in containers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.harness.fetch import fetch
from tests.harness.waiting import wait_until
from tests.stack.project import FACT_SECONDS, Project, attempt

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

OVERRIDE = "tests/stack/compose.loads.yml"
SECOND = 10**9  # nanoseconds, as the engine counts


def test_an_application_that_fails_until_its_database_is_there_starts(
    make_project: Callable[..., Project],
) -> None:
    project = make_project(override=OVERRIDE, settings={"FAILS_FOR": "12"})
    project.up()
    assert fetch(project.address(), "/alice").status == 200
    said = [line["message"] for line in project.events("server") if line["level"] == "warning"]
    assert "ConnectionRefusedError: the database; trying again for " in said[0]
    assert project.inspect("server")["RestartCount"] == 0


def test_health_checks_wait_for_the_start_and_say_who_loads(
    make_project: Callable[..., Project],
) -> None:
    project = make_project(override=OVERRIDE, settings={"LOADS_FOR": "600", "START_TIMEOUT": "700"})
    project.compose("up", "--detach", "--no-build", "--no-deps", "server")
    described = project.inspect("server")["Config"]["Healthcheck"]
    assert described["StartPeriod"] == 700 * SECOND
    _, *check = described["Test"]

    def says_so() -> bool:
        command = project.command("exec", "-T", "server", *check)
        done = attempt(*command, environment=project.environment)
        return done.returncode == 1 and done.stdout.count(": loading for ") == 2

    wait_until(says_so, "word of the workers that load", limit=FACT_SECONDS)
    project.down()
