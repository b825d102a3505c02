"""A Procfile's processes in containers: services of the image that serves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import repositories
from tests.harness.waiting import wait_until
from tests.stack.project import FACT_SECONDS
from tests.stack.test_init import Repository, built, repository

__all__ = ["built", "repository"]
pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

WORK = """
import signal, sys, time
from pathlib import Path

def stop(*_):
    print("finishes its job", flush=True)
    sys.exit()

signal.signal(signal.SIGTERM, stop)
print("works with", Path("version.txt").read_text().strip(), flush=True)
while True:
    time.sleep(60)
"""
PROCFILE = """\
release: echo migrates for $(cat version.txt) && test ! -e fails
web: gunicorn shop:application
worker: python3 work.py
"""


def fill(root: Path) -> None:
    files = {"work.py": WORK, "Procfile": PROCFILE, "version.txt": "1\n"}
    repositories.write(root, repositories.BARE | files)


def ended(made: Repository, *words: str) -> tuple[str, int]:
    """What a command of Bascule's prints, and its exit status."""
    said = made.run("sh", "-c", '"$@" 2>&1; echo $?', "sh", *made.program, *words)
    lines = said.splitlines()
    return "\n".join(lines[:-1]), int(lines[-1])


def test_they_are_scaled_restarted_and_replaced_with_the_image(
    repository: Callable[..., Repository],
) -> None:
    made = repository(fill)
    made.compose("up", "--detach", "--wait")
    logged = made.compose("logs", "release", "worker")
    assert "migrates for 1" in logged
    assert '"worker": "worker", "message": "works with 1"' in logged
    assert "process  worker.1 running" in made.basculectl("status")

    assert made.basculectl("scale", "worker=2").endswith("Done: worker=2.\n")
    assert "process  worker.2 running" in made.basculectl("status")
    assert (made.root / ".env").read_text() == "SCALE_WORKER=2\n"

    repositories.write(made.root, {"version.txt": "2\n", "fails": ""})
    said, status = ended(made, "deploy", "--build")
    assert status == 1
    assert "migrates for 2" in said
    assert "the Procfile's release ended with status 1, as told above. Nothing has changed" in said
    assert "works with 2" not in made.compose("logs", "worker")
    # The image that serves, not the one that was built last.
    made.compose("build", "--quiet", "server")
    assert ended(made, "run", "--", "sh", "-c", "cat version.txt; exit 3") == ("1", 3)

    (made.root / "fails").unlink()
    made.basculectl("deploy", "--build")
    assert made.compose("logs", "worker").count("works with 2") == 2
    made.basculectl("restart", "worker")

    def have_begun() -> bool:
        return made.compose("logs", "worker").count("works with 2") == 4

    wait_until(have_begun, "both to begin anew", limit=FACT_SECONDS)
    assert made.compose("logs", "worker").count("finishes its job") == 2

    made.basculectl("down")
    assert ended(made, "run", "--", "cat", "version.txt")[0].endswith("2")
    assert "release" not in made.compose("ps", "--all", "--services")
