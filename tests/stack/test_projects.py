"""Several projects on one machine: none touches the containers of another."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.processes import ROOT, inherited
from tests.stack.project import Project

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

# What compose needs to have a container of a service called server; nothing of ours is in it.
COMPOSE = """
services:
  server:
    image: debian:trixie-slim
    command: [sleep, "600"]
    stop_grace_period: 1s
"""
PATH = os.pathsep.join(str(ROOT / part) for part in ("server", "middleware", "ops"))


def run(directory: Path, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command there, as from a shell that has gone there."""
    mine = {"PYTHONPATH": PATH, "BASCULECTL_DOOR": "basculectl ", "PWD": str(directory)}
    return subprocess.run(
        command,
        cwd=directory,
        env=inherited() | mine | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def basculectl(directory: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return run(directory, sys.executable, "-P", "-m", "bascule_ops", *words, **settings)


def containers(directory: Path, *words: str) -> str:
    """The ids of those of the directory's compose project that run."""
    done = run(directory, "docker", "compose", *words, "ps", "--quiet")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def project(engine: None, tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Makes directories with a compose file; the name is unique on this machine."""
    unique = uuid.uuid4().hex[:8]
    made: list[Path] = []

    def make(place: str, name: str = "shop") -> Path:
        directory = tmp_path / place / f"{name}-{unique}"
        directory.mkdir(parents=True)
        (directory / "compose.yaml").write_text(COMPOSE)
        made.append(directory)
        return directory

    yield make
    for directory in made:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "compose.yaml").write_text(COMPOSE)
        run(directory, "docker", "compose", "down", "--timeout=0")


def start(directory: Path) -> str:
    done = run(directory, "docker", "compose", "up", "--detach")
    assert done.returncode == 0, done.stderr
    return containers(directory)


@pytest.mark.parametrize(
    ("command", "status", "begins"),
    [
        ("up", 1, "basculectl up: "),
        ("restart", 1, "basculectl restart: "),
        ("deploy --build", 1, "basculectl deploy: "),
        ("logs", 1, "basculectl logs: "),
        ("status", 3, "basculectl status: "),
        ("down", 0, "Nothing runs. Not touched: "),
    ],
)
def test_a_directory_of_the_same_name_is_left_alone(
    project: Callable[..., Path], command: str, status: int, begins: str
) -> None:
    theirs, mine = project("theirs"), project("mine")
    running = start(theirs)
    done = basculectl(mine, *command.split())
    assert done.returncode == status, done.stdout + done.stderr
    said = done.stdout + done.stderr
    assert said.startswith(
        f'{begins}the containers of the compose project "{mine.name}" are those of {theirs}: set '
        "COMPOSE_PROJECT_NAME in .env here"
    ), said
    assert containers(theirs) == running
    (mine / ".env").write_text(f"COMPOSE_PROJECT_NAME={mine.name}-mine\n")
    assert "COMPOSE_PROJECT_NAME in .env" not in basculectl(mine, "status").stderr


def test_a_stack_is_listed_and_its_port_is_known_to_be_its(
    stack: Project, project: Callable[..., Path]
) -> None:
    host, port = stack.address()
    directory = project("mine")
    done = basculectl(directory, "list", "--json")
    listed = json.loads(done.stdout)["stacks"]
    (found,) = [each for each in listed if each["url"] == f"http://{host}:{port}/"]
    assert found | {"since": None} == {
        "directory": str(ROOT),
        "mode": "docker",
        "url": f"http://{host}:{port}/",
        "state": "serves",
        "since": None,
        "remedy": None,
    }
    with (directory / "compose.yaml").open("a") as file:
        file.write(f"  nginx:\n    image: debian:trixie-slim\n    ports: ['{host}:{port}:8080']\n")
    done = basculectl(directory, "up")
    assert done.returncode == 1
    assert done.stderr.endswith(f"; port {port} is that of the stack of {ROOT} (in containers)\n")


def test_down_stops_what_was_started_in_a_directory_whatever_it_is_called(
    project: Callable[..., Path],
) -> None:
    directory = project("one", "My Shop")
    link = directory.with_name("link") / directory.name
    link.parent.mkdir()
    link.symlink_to(directory)
    start(directory)
    done = basculectl(link, "--project", ".", "down")
    assert (done.returncode, done.stdout) == (0, "Stopped.\n"), done.stderr
    assert containers(directory) == ""


def test_a_directory_that_has_moved_still_has_its_containers(project: Callable[..., Path]) -> None:
    before, after = project("before"), project("after")
    start(before)
    shutil.rmtree(before)
    done = basculectl(after, "up")
    assert f"Note: its containers were started in {before}, which is there no more" in done.stdout
    assert basculectl(after, "down").stdout == "Stopped.\n"
    assert containers(after) == ""


def test_another_project_that_is_named_in_one_directory_is_another_one(
    project: Callable[..., Path],
) -> None:
    directory = project("one")
    running = start(directory)
    done = basculectl(directory, "down", COMPOSE_PROJECT_NAME=f"{directory.name}-two")
    assert (done.returncode, done.stdout) == (0, "Nothing runs.\n"), done.stderr
    assert containers(directory) == running


def test_the_file_that_compose_is_told_of_says_whose_its_containers_are(
    project: Callable[..., Path],
) -> None:
    elsewhere, here = project("elsewhere"), project("here")
    settings = {"COMPOSE_FILE": f"{elsewhere}/compose.yaml"}
    start(elsewhere)
    assert basculectl(here, "down", **settings).stdout == "Stopped.\n"
    assert containers(elsewhere) == ""
