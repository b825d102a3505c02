"""Images of the server that a test deploys: ours with the load's application, and a version."""

from __future__ import annotations

import subprocess

from tests.harness.processes import ROOT
from tests.stack.project import CommandError, run

GOOD = """
FROM {base}
COPY . /srv/tests/load/
ENV RELEASE={release}
"""
# Loads, but every request fails: what only an asked worker tells.
BROKEN = """
FROM {base}
USER root
RUN echo 'def application(environ, start_response): raise RuntimeError("a bad release")' > /srv/tests/load/application.py
USER 10001:10001
"""
# Does not even load.
UNLOADABLE = """
FROM {base}
USER root
RUN echo 'raise RuntimeError("a bad import")' > /srv/tests/load/application.py
USER 10001:10001
"""
# Takes for ever to load.
HANGS = """
FROM {base}
USER root
RUN echo 'import time; time.sleep(600)' > /srv/tests/load/application.py
USER 10001:10001
"""


def build(tag: str, dockerfile: str, base: str, release: str = "") -> None:
    """Build an image of the server from another one."""
    done = subprocess.run(
        ["docker", "build", "--quiet", f"--tag=bascule-server:{tag}", "--file=-", "tests/load"],
        cwd=ROOT,
        input=dockerfile.format(base=base, release=release),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode:
        raise CommandError(done.stdout + done.stderr)


def tags(repository: str) -> dict[str, str]:
    """Return the image's id by tag."""
    listed = run("docker", "image", "ls", "--no-trunc", repository, "--format={{.Tag}} {{.ID}}")
    return dict(line.split() for line in listed.splitlines())


def remove(prefix: str) -> None:
    """Remove our images whose tag begins so; by name, others may share their layers."""
    for repository in ("bascule-server", "bascule-nginx"):
        names = [f"{repository}:{tag}" for tag in tags(repository) if tag.startswith(prefix)]
        if names:
            run("docker", "image", "rm", *names)
