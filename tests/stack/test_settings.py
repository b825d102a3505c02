"""What compose makes of its file. tests/architecture/test_defaults.py has its defaults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.stack.project import Project, attempt, run

pytestmark = pytest.mark.stack

PROJECT = Project(name="bascule-test-config", image_tag="none", profiles=("*",))


def environment_of(service: str, *env_file: Path) -> dict[str, Any]:
    """Return what a service's container gets; None is an unset variable."""
    command = PROJECT.command("config", "--format=json")
    for path in env_file:
        command[command.index("--env-file=/dev/null")] = f"--env-file={path}"
    described = json.loads(run(*command))
    return dict(described["services"][service]["environment"])


def test_compose_accepts_its_file_without_a_warning(engine: None) -> None:
    ended = attempt(*PROJECT.command("config", "--quiet"))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_what_is_not_set_is_left_to_whoever_has_the_default(engine: None) -> None:
    assert environment_of("server")["BASCULE_THREADS"] is None
    assert environment_of("nginx")["NGINX_SEND_TIMEOUT"] is None


def test_what_the_env_file_sets_reaches_the_containers(engine: None, tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("BASCULE_THREADS=3\nWEB_CONCURRENCY=4\nNGINX_SEND_TIMEOUT=9s\n")
    server = environment_of("server", file)
    assert (server["BASCULE_THREADS"], server["WEB_CONCURRENCY"]) == ("3", "4")
    assert environment_of("nginx", file)["NGINX_SEND_TIMEOUT"] == "9s"
