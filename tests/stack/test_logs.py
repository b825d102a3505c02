"""The commands that read the log, with containers: where lines come from the engine."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.fetch import fetch
from tests.harness.ports import listen
from tests.harness.processes import ROOT, Process
from tests.harness.waiting import wait_until
from tests.stack.project import FACT_SECONDS, Project, attempt

pytestmark = pytest.mark.stack

# What the scripts call, apart from a Python.
PROGRAMS = ("basename", "bash", "cat", "dirname", "docker", "grep", "id", "readlink", "sed", "stat")


def ops(
    project: Project, command: str, *arguments: str, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run a command of ops/ for this project."""
    settings = {"COMPOSE_PROJECT_NAME": project.name, "RUN_DIR": "/nonexistent", **environ}
    return attempt(f"ops/{command}", *arguments, environment=project.environment | settings)


@pytest.fixture
def without_python(tmp_path: Path) -> dict[str, str]:
    """An environment in which no Python can be found."""
    for program in PROGRAMS:
        (tmp_path / program).symlink_to(str(shutil.which(program)))
    return {"PATH": str(tmp_path)}


def asked_for(stack: Project, target: str) -> str:
    """Ask for a path; return the request's id once both of its lines are in the log."""
    request_id = fetch(stack.address(), target).fields["x-request-id"]

    def is_logged() -> bool:
        done = ops(stack, "logs", "--request-id", request_id, "--json")
        return len(done.stdout.splitlines()) == 2

    wait_until(is_logged, "both lines of the request", limit=FACT_SECONDS)
    return request_id


def test_a_story_is_told_over_both_containers(stack: Project) -> None:
    request_id = asked_for(stack, "/told")
    told = ops(stack, "logs", "--request-id", request_id, "--text").stdout
    assert "GET /told to " in told
    assert told.count("answers 200") == 2
    assert told.endswith("\n")
    assert "\x1b" not in told


def test_without_a_python_here_the_containers_reads(
    stack: Project, without_python: dict[str, str]
) -> None:
    request_id = asked_for(stack, "/no-python")
    told = ops(stack, "logs", "--request-id", request_id, "--text", **without_python)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.count("answers 200") == 2
    unknown = ops(stack, "logs", "--request-id", "unknown", **without_python)
    assert unknown.returncode == 1
    assert "no line of the log has the request id unknown" in unknown.stderr
    counted = ops(stack, "requests", "--path", "/no-python", "--json", **without_python)
    assert json.loads(counted.stdout)["total"]["requests"] >= 1
    drawn = ops(stack, "slow", "--flame-graph", "-", **without_python)
    assert drawn.stdout.startswith("<svg ")


def test_lines_of_both_containers_come_in_order_of_time(stack: Project) -> None:
    for number in range(5):
        asked_for(stack, f"/in-order/{number}")
    done = ops(stack, "logs", "--lines", "all", "--since", "1m")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    times = [line["time"] for line in lines]
    assert times == sorted(times)
    assert {line.get("worker") for line in lines} >= {"nginx", "0", "1"}
    assert len(ops(stack, "logs", "--lines", "3").stdout.splitlines()) == 3


def test_following_shows_what_is_logged_from_now_on(stack: Project) -> None:
    environ = (
        os.environ
        | stack.environment
        | {"COMPOSE_PROJECT_NAME": stack.name, "RUN_DIR": "/nonexistent"}
    )
    command = ["ops/logs", "--follow", "--lines", "0", "--path", "/followed"]
    with Process(command, env=environ) as following:
        over = threading.Event()

        def ask() -> None:
            while not over.wait(0.2):  # docker compose takes a moment until it follows
                fetch(stack.address(), "/followed")

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            lines = [json.loads(following.read_line(FACT_SECONDS)) for _ in range(4)]
        finally:
            over.set()
            asking.join()
    assert {line["target"] for line in lines} == {"/followed"}


def test_the_engine_rotates_and_says_so(stack: Project) -> None:
    done = ops(stack, "logs", "--rotate")
    assert done.returncode == 1
    assert "LOG_MAX_SIZE and LOG_MAX_FILES" in done.stderr


def test_the_pages_logging_driver_ships_lines_and_leaves_a_copy(
    make_project: Callable[..., Project], tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "logs.md").read_text()
    override = page.split("```yaml\n")[1].split("```")[0]
    with listen() as collector:
        override = override.replace("127.0.0.1:6514", f"127.0.0.1:{collector.getsockname()[1]}")
        (tmp_path / "override.yml").write_text(override)
        received: list[str] = []

        def collect(connection: socket.socket) -> None:
            with connection, connection.makefile(encoding="utf-8", errors="replace") as lines:
                received.extend(lines)

        def accept() -> None:
            for _ in range(2):  # one for each container
                threading.Thread(target=collect, args=collector.accept()[:1], daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        project = make_project(override=str(tmp_path / "override.yml"))
        project.up()
        request_id = asked_for(project, "/shipped")
        wait_until(
            lambda: sum(request_id in line for line in list(received)) == 2,
            "both lines to arrive",
            limit=FACT_SECONDS,
        )
        project.down()
    lines = [line for line in received if request_id in line]
    found = [json.loads(line[line.index("{") :]) for line in lines]
    assert {line["worker"] == "nginx" for line in found} == {True, False}
