"""Repositories of a stranger's: a WSGI project each, before anything of ours is in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

FACTORY = """
from flask import Flask, request

def create_app(config=None):
    app = Flask(__name__)

    @app.get("/")
    def index():
        return f"Flask's for {request.remote_addr}"

    return app
"""
CALLABLE = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"nobody's for {environ['REMOTE_ADDR']}".encode()]
"""
FLASK: Mapping[str, str] = {
    "shop/__init__.py": FACTORY,
    "shop/static/shop.css": "body {}\n",
    "requirements.txt": "flask\n",
}
BARE: Mapping[str, str] = {"shop.py": CALLABLE}


def write(root: Path, files: Mapping[str, str]) -> None:
    """Make files, by their paths."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def commit(root: Path) -> None:
    """Have git know all that is there. Skips where there is no git; fails where CI expects one."""
    if shutil.which("git") is None and os.environ.get("CI") != "true":
        pytest.skip("there is no git")
    run("git", "init", "--quiet", root=root)
    run("git", "add", "--all", root=root)
    who = ("-c", "user.name=somebody", "-c", "user.email=somebody@localhost")
    run("git", *who, "commit", "--quiet", "--message=It", root=root)


def new_files(root: Path) -> list[str]:
    """What git sees beside what it knows."""
    said = run("git", "status", "--porcelain", "--untracked-files=all", root=root)
    return sorted(line.removeprefix("?? ") for line in said.splitlines())


def django(root: Path) -> None:
    """Make a project as Django's own command makes it."""
    run(str(Path(sys.executable).parent / "django-admin"), "startproject", "mysite", ".", root=root)
    write(root, {"requirements.txt": "django\n"})


def run(*command: str, root: Path) -> str:
    """Run a command that succeeds, in the repository; return what it prints."""
    done = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
