"""Both images say what is in them, and it is true."""

from __future__ import annotations

import json
import re

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.stack.project import Project, attempt, run

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


def printed(image_tag: str, image: str) -> str:
    """What ops/sbom prints."""
    return run("ops/sbom", image, environment={"IMAGE_NAME": "bascule", "IMAGE_TAG": image_tag})


def versions(text: str) -> dict[str, str]:
    return {each["name"]: each["version"] for each in json.loads(text)["components"]}


@pytest.mark.parametrize("image", ["server", "nginx"])
def test_an_image_contains_valid_cyclonedx_about_itself(image_tag: str, image: str) -> None:
    text = printed(image_tag, image)
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert problem is None, problem
    assert json.loads(text)["metadata"]["component"]["name"] == f"bascule-{image}"


@pytest.mark.parametrize("image", ["server", "nginx"])
def test_it_names_each_package_of_debian_that_dpkg_knows(
    stack: Project, image_tag: str, image: str
) -> None:
    listed = stack.execute(image, "dpkg-query", "--show", "-f", "${Package} ${Version}\\n")
    installed = dict(line.split(" ") for line in listed.splitlines())
    named = {
        each["name"]: each["version"]
        for each in json.loads(printed(image_tag, image))["components"]
        if each.get("purl", "").startswith("pkg:deb/")
    }
    assert named == installed


def test_it_names_the_versions_that_run(stack: Project, image_tag: str) -> None:
    server = versions(printed(image_tag, "server"))
    python = stack.execute("server", "python3", "--version").split()[1]
    assert python.startswith(server["python3"].partition("-")[0])
    for package, venv in (("supervisor", "ops"), ("gunicorn", "venv"), ("lxml", "venv")):
        code = f"from importlib.metadata import version; print(version('{package}'))"
        assert (
            server[package]
            == stack.execute("server", f"/opt/bascule/{venv}/bin/python", "-c", code).strip()
        )
    shown = attempt(*stack.command("exec", "-T", "nginx", "nginx", "-v"), stderr=-2)
    running = re.search(r"nginx/([\d.]+)", shown.stdout)
    assert running
    assert versions(printed(image_tag, "nginx"))["nginx"].startswith(running[1])


def test_an_image_that_is_not_there_is_said(engine: None) -> None:
    done = attempt("ops/sbom", "no-such-image")
    assert done.returncode == 1
    assert done.stderr == (
        "ops/sbom: there is no image no-such-image; docker compose build makes the stack's\n"
    )
