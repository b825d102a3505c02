"""``docker compose run server COMMAND``: a command of one's own, beside the workers."""

from __future__ import annotations

import pytest

from tests.stack.project import Project, attempt

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

# As the project's own code sees it: its directory, its requirements' Python, its settings.
CODE = "import os, sys; print(os.getcwd(), sys.prefix, os.environ['RUN_DIR']); sys.exit(7)"


def run_once(stack: Project, *command: str) -> tuple[int, str, str]:
    """Run a command; return its exit status, and what it wrote."""
    words = stack.command("run", "--rm", "-T", "--no-deps", "server", *command)
    ended = attempt(*words, environment=stack.environment)
    return ended.returncode, ended.stdout, ended.stderr


def test_it_runs_where_the_project_is_with_its_python_and_its_exit_status(stack: Project) -> None:
    status, out, _ = run_once(stack, "python", "-c", CODE)
    assert (status, out) == (7, "/srv /opt/bascule/venv /run/bascule\n")
    assert stack.answers()


def test_one_that_is_not_there_says_so(stack: Project) -> None:
    status, _, error = run_once(stack, "migrate")
    assert status == 127
    assert error.endswith("cannot run migrate: No such file or directory\n")
