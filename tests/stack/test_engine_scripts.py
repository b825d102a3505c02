"""ops/docker-engine and ops/base-image where there is no engine to use. Needs none."""

from __future__ import annotations

import pytest

from tests.stack.project import attempt

NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}


@pytest.mark.parametrize("script", ["ops/docker-engine", "ops/base-image"])
def test_help_says_how_to_use_it(script: str) -> None:
    ended = attempt(script, "--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"usage: {script}")


@pytest.mark.parametrize(
    "command",
    [
        ["ops/docker-engine"],
        ["ops/docker-engine", "restart"],
        ["ops/docker-engine", "start", "now"],
        ["ops/base-image", "--hurry"],
        ["ops/base-image", "--force", "--hurry"],
    ],
)
def test_a_wrong_call_changes_nothing_and_shows_the_usage(command: list[str]) -> None:
    ended = attempt(*command, environment=NO_ENGINE)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("usage: ")


@pytest.mark.parametrize(
    ("command", "status", "remedy"),
    [
        (["ops/docker-engine", "status"], 3, "ops/docker-engine start"),
        (["ops/docker-engine", "start"], 1, "unset DOCKER_HOST"),
        (["ops/base-image"], 1, "ops/docker-engine start"),
    ],
)
def test_without_an_engine_one_line_says_what_to_do(
    command: list[str], status: int, remedy: str
) -> None:
    ended = attempt(*command, environment=NO_ENGINE)
    assert ended.returncode == status
    (line,) = (ended.stdout + ended.stderr).splitlines()
    assert line.startswith(f"{command[0]}: ")
    assert remedy in line
