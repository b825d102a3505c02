"""Operations in local mode that are killed at one of their effects after the other, under a load.

KILL_EVERYWHERE=1 has none left out.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from itertools import count, cycle
from pathlib import Path
from typing import Any

import pytest

from tests.harness.killed import EVERYWHERE
from tests.harness.processes import Process
from tests.harness.tree import LIMIT, Tree
from tests.harness.waiting import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

NOTHING = "no operation was cut off"


def killed(tree: Tree, place: str, *command: str) -> bool:
    """Do a command that is killed at that effect; whether it came that far."""
    python = tree.root / ".venv-run/bin/python"
    environ = {**tree.environ, "BASCULECTL_DOOR": "ops/", "PYTHONDONTWRITEBYTECODE": "1"}
    words = (python, "-P", "tests/harness/killed.py", place, "--project", tree.root, *command)
    with Process(words, cwd=tree.root, env=environ) as process:
        process.wait(LIMIT)
        assert process.status in (0, -9), process.words
        return process.status == -9


def generations(tree: Tree) -> dict[str, set[str]]:
    """Return the workers' processes of each generation that has some, from their command lines."""
    found: dict[str, set[str]] = {}
    for pid in tree.pids():
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            line = Path(f"/proc/{pid}/cmdline").read_text()
            if match := re.search(r"worker-\d+\.sock\0--hold\0\S*/(\w+)/hold", line):
                found.setdefault(match[1], set()).add(str(pid))
    return found


def finding(tree: Tree) -> dict[str, Any]:
    """Return what status says of operations that were cut off."""
    document = json.loads(tree.run("ops/status", "--json").stdout)
    (found,) = [each for each in document["checks"] if each["name"] == "operation"]
    return dict(found)


def is_told(tree: Tree) -> bool:
    """Whether status says of a second generation which one serves, and what to do; or of none."""
    there, found = generations(tree), finding(tree)
    if len(there) == 1 and found["ok"]:
        return True
    match = re.search(r"was cut off.*: generation (\w) is proven and serves", found["message"])
    if not match or "ops/deploy --resume" not in found["remedy"]:
        return False
    serves = there[match[1]]
    # Those that are too many serve as well, until nginx knows.
    return set(list(tree.worker_pids().values())[: len(serves)]) <= serves


def workers_kept(tree: Tree) -> int:
    """Return how many workers the next start would have."""
    return int((tree.root / ".env").read_text().partition("=")[2])


def test_a_change_of_scale_is_mended_wherever_it_was_killed_and_nothing_is_lost(
    tree: Tree,
) -> None:
    (tree.root / ".env").write_text("WORKERS=2\n")
    assert tree.up().returncode == 0
    with tree.load() as failures:
        for number, mend in zip(
            count(1, 1 if EVERYWHERE else 2), cycle(["--resume", "--abort"]), strict=False
        ):
            wanted = 5 - workers_kept(tree)
            if not killed(tree, str(number), "scale", str(wanted)):
                break
            wait_until(
                lambda: is_told(tree),
                "status to tell it",
                limit=LIMIT,
                seen=lambda: (generations(tree), finding(tree), tree.run("ops/health")),
            )
            done = tree.run("ops/deploy", mend)
            assert done.returncode == 0 or NOTHING in done.stderr, (number, done)
            assert len(generations(tree)) == 1, number
            assert tree.run("ops/deploy", mend).returncode == 1
            serves = len(tree.worker_pids())
            assert serves == workers_kept(tree), number
            assert mend == "--abort" or NOTHING in done.stderr or serves == wanted, number
            assert finding(tree)["ok"], number
            assert not failures, (number, failures)
    assert number > len(("start", "try", "take over", "nginx", "retire"))
    assert not failures


@pytest.mark.parametrize("command", ["deploy", "up"])
def test_what_a_killed_deployment_left_is_met_by_the_next_command(tree: Tree, command: str) -> None:
    assert tree.up().returncode == 0
    assert killed(tree, "getAllProcessInfo", "deploy")
    wait_until(lambda: set(generations(tree)) == {"a", "b"}, "the new workers", limit=LIMIT)
    if command == "up":
        done = tree.up()
        assert done.returncode == 0
        assert "ops/deploy (process " in done.stderr
        assert "was cut off: generation a is proven and serves" in done.stderr
    done = tree.run("ops/deploy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "was cut off; that comes first" in done.stdout
    assert set(generations(tree)) == {"b"}
    assert tree.run("ops/down").returncode == 0


def test_a_rollback_that_was_killed_late_does_not_go_forward_again(tree: Tree) -> None:
    assert tree.up(BASCULE_THREADS="3").returncode == 0
    assert tree.run("ops/deploy", BASCULE_THREADS="5").returncode == 0
    assert killed(tree, "stopProcess", "rollback")
    done = tree.run("ops/deploy", "--resume")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("Done: the new workers serve.\n")
    assert [each["threads"] for each in tree.log() if each["event"] == "listening"][-1] == 3
    assert set(generations(tree)) == {"a"}
