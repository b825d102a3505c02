"""A project of one's own in the image, as docs/containers.md has it: served through the chain."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest

from tests.harness import namesakes
from tests.harness.fetch import fetch
from tests.harness.processes import ROOT
from tests.harness.waiting import wait_until
from tests.stack.project import FACT_SECONDS, Project, run

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


def example(language: str) -> str:
    """The page's one block of that language for a project elsewhere."""
    page = (ROOT / "docs" / "containers.md").read_text()
    (section,) = re.findall(r"^### From a directory of its own\n(.*?)^## ", page, re.M | re.S)
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", section, re.M | re.S)
    return str(block)


@pytest.fixture(scope="module")
def own(
    make_project: Callable[..., Project], image_tag: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """The stack with a project whose names are ours, and Python's, as well."""
    place = tmp_path_factory.mktemp("own")
    shop = place / "shop"
    shop.mkdir()
    namesakes.write(shop)
    dockerfile = example("dockerfile").replace("bascule-server", f"bascule-server:{image_tag}")
    (shop / "Dockerfile").write_text(dockerfile)
    image = f"bascule-own:{image_tag}"
    override = example("yaml").replace("shop-server", image).replace("../shop", str(shop))
    (place / "override.yml").write_text(override)
    project = make_project(override=str(place / "override.yml"))
    project.compose("build", "--quiet", "server")
    project.up()
    yield project
    project.down()
    run("docker", "image", "rm", image)


def test_its_own_application_answers_through_the_chain_with_the_clients_address(
    own: Project,
) -> None:
    reply = fetch(own.inner_address(), "/")
    identity = reply.field("X-Request-ID")
    assert identity
    line: list[dict[str, str]] = []

    def is_logged() -> bool:
        line[:] = [each for each in own.events("nginx") if each.get("request_id") == identity]
        return bool(line)

    wait_until(is_logged, "nginx logs the request", limit=FACT_SECONDS)
    client = line[0]["remote_addr"]
    assert client
    assert (reply.status, reply.text) == (200, f"app of the project for {client}")


def test_nothing_but_the_project_is_in_its_place(own: Project) -> None:
    there = own.execute("server", "ls", "/srv").split()
    modules = [f"{name}.py" for name in namesakes.MODULES]
    assert sorted(there) == sorted(["Dockerfile", "chain.toml", *namesakes.PACKAGES, *modules])
    assert own.execute("server", "ls", "/srv/app").split() == ["__init__.py"]


def test_what_supervises_and_observes_it_is_well(own: Project) -> None:
    host, _, port = own.compose("port", "nginx", "8081").strip().rpartition(":")

    def is_healthy() -> bool:
        # A worker counts as started after five seconds.
        reply = fetch((host, int(port)), "/-/status.json")
        return reply.status == 200 and bool(reply.json["healthy"])

    wait_until(is_healthy, "the observer finds the stack healthy", limit=FACT_SECONDS)
    document = json.loads(own.execute("server", "basculectl", "status", "--json"))
    states = {each["name"]: each["state"] for each in document["processes"]}
    for name in ("bascule:worker-0", "bascule:worker-1", "observer", "process-events"):
        assert states[name] == "RUNNING"
