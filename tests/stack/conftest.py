"""A container engine, the images, and stacks made of them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.stack.project import CommandError, Project, run

REMEDY = "start one, on Debian with: sudo ops/docker-engine start"


@pytest.fixture(scope="session")
def engine() -> None:
    """Skip where no container engine answers; fail where CI expects one."""
    try:
        run("docker", "version", "--format", "{{.Server.Version}}")
        run("docker", "compose", "version")
    except (CommandError, OSError) as error:
        reason = f"no container engine with compose answers ({str(error).strip()}); {REMEDY}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def image_tag(engine: None) -> Iterator[str]:
    """Build the images once, under a tag of this session's own."""
    tag = f"test-{uuid.uuid4().hex[:8]}"
    project = Project(name=f"bascule-{tag}", image_tag=tag, profiles=("*",))
    project.compose("build", "--quiet")
    yield tag
    # By name: the same image may also have a name that somebody else uses.
    names = run(
        "docker",
        "image",
        "ls",
        f"--filter=reference=bascule-*:{tag}",
        "--format={{.Repository}}:{{.Tag}}",
    )
    run("docker", "image", "rm", *names.split())


@pytest.fixture(scope="session")
def make_project(image_tag: str) -> Iterator[Callable[..., Project]]:
    """Return a maker of stacks; each is removed at the session's end, unless it was before."""
    made: list[Project] = []

    def make(**options: object) -> Project:
        name = f"bascule-test-{uuid.uuid4().hex[:8]}"
        project = Project(name=name, image_tag=image_tag, **options)  # type: ignore[arg-type]
        made.append(project)
        return project

    yield make
    for project in made:
        project.down()


@pytest.fixture(scope="session")
def stack(make_project: Callable[..., Project]) -> Project:
    """Return the stack as it ships, with the baseline beside it."""
    project = make_project(profiles=("baseline",))
    project.up()
    return project
