"""The terminal view in the server's container."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.page.terminal import Terminal
from tests.stack.project import Project

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


def test_it_runs_on_a_terminal_and_without_one(make_project: Callable[..., Project]) -> None:
    project = make_project()
    project.compose("up", "--detach", "--wait")
    program = ("server", "basculectl", "top")
    assert "Workers 2" in project.compose("exec", "-T", *program)
    environ = {**os.environ, **project.environment}
    top = Terminal(*project.command("exec", *program), environ=environ)
    try:
        top.wait_for("✓ healthy", "Workers 2", "serving", "q quit")
        top.send("q")
        assert top.wait() == 0
        assert top.is_as_it_was
    finally:
        top.close()
    project.down()
