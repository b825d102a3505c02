"""docker-compose.yml and .env.example agree. All but one test need no engine."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from tests.stack.project import COMPOSE_FILE, ROOT, Project, attempt

# ${NAME:-default}; "$$" is a dollar sign for the container.
REFERENCE = re.compile(r"(?<!\$)\$(\{(?P<name>\w+)(?P<default>:-[^}]*)?\}|\w)")
SETTING = re.compile(r"(?P<name>[A-Z_]+)=(?P<value>.*)")


@pytest.fixture(scope="module")
def references() -> list[re.Match[str]]:
    text = "\n".join(
        line
        for line in (ROOT / COMPOSE_FILE).read_text(encoding="utf-8").splitlines()
        if not line.lstrip().startswith("#")
    )
    return list(REFERENCE.finditer(text))


@pytest.fixture(scope="module")
def example() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    return {match["name"]: match["value"] for line in lines if (match := SETTING.fullmatch(line))}


def test_the_example_lists_exactly_the_settings_that_compose_reads(
    references: list[re.Match[str]], example: dict[str, str]
) -> None:
    assert {match["name"] for match in references} == set(example)


def test_every_setting_has_a_default_and_the_example_says_that_one(
    references: list[re.Match[str]], example: dict[str, str]
) -> None:
    assert [match[0] for match in references if match["default"] is None] == []
    defaults = {(match["name"], match["default"].removeprefix(":-")) for match in references}
    assert defaults == set(example.items())


def test_every_setting_of_the_example_is_explained_above_it() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    unexplained = [
        line
        for above, line in pairwise(lines)
        # A setting may share the comment of the setting above it, as LOG_MAX_FILES does.
        if SETTING.fullmatch(line) and not (above.startswith("# ") or SETTING.fullmatch(above))
    ]
    assert unexplained == []


@pytest.mark.stack
def test_compose_accepts_its_file_without_a_warning(engine: None) -> None:
    project = Project(name="bascule-test-config", image_tag="none", profiles=("*",))
    ended = attempt(*project.command("config", "--quiet"))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
