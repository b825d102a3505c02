"""Operations on containers that are killed, or disturbed by docker compose, under a load.

KILL_EVERYWHERE=1 has no place left out.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import uuid
from collections.abc import Iterator
from itertools import cycle
from typing import Any

import pytest

from tests.harness.fetch import fetch
from tests.harness.killed import EVERYWHERE
from tests.harness.processes import ROOT, Process
from tests.harness.waiting import wait_until
from tests.load.background import BackgroundLoad
from tests.stack import releases
from tests.stack.project import FACT_SECONDS, attempt, run
from tests.stack.test_deploy import BEFORE, RATE, Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

# What a deployment is killed before, in its order (tests/harness/killed.py).
PLACES = (
    " run --detach",
    "trial try",
    ": >/run/supervisor/hold",
    ": >/run/supervisor/taken",
    "trial release",
    "docker-entrypoint.sh reload",
    "run docker stop",
    "run docker tag|3",
    " up --no-start",
    "run docker start",
    "trial try|2",
    ": >/run/supervisor/taken|2",
    "trial release|2",
    "run docker stop|2",
)


@pytest.fixture(scope="module")
def stack(image_tag: str) -> Iterator[Stack]:
    """A stack that serves release 1, and an image of release 2."""
    stack = Stack(f"killed-{uuid.uuid4().hex[:8]}")
    run("docker", "tag", f"bascule-nginx:{image_tag}", f"bascule-nginx:{stack.tag}")
    base = f"bascule-server:{image_tag}"
    for number in ("1", "2"):
        releases.build(f"{stack.tag}-{number}", releases.GOOD, base, number)
    run("docker", "tag", f"bascule-server:{stack.tag}-1", f"bascule-server:{stack.tag}")
    try:
        stack.project.up()
        yield stack
    finally:
        stack.run("ops/down")
        stack.project.down()
        releases.remove(stack.tag)


def killed(stack: Stack, place: str, *command: str) -> None:
    """Do a command that is killed at that effect."""
    environ = {**os.environ, **stack.environment, "BASCULECTL_DOOR": "ops/"}
    environ["PYTHONPATH"] = f"{ROOT}/ops:{ROOT}/server"
    words = (sys.executable, "-P", "tests/harness/killed.py", place, "--project", ROOT, *command)
    with Process(words, env=environ) as process:
        process.wait(120)
        assert process.status == -signal.SIGKILL, process.words


def servers(stack: Stack) -> dict[str, str]:
    """Return the release of each container of the server that runs, by its id."""
    found = {}
    for each in stack.project.container("server").split():
        listed = attempt("docker", "exec", each, "printenv", "RELEASE")
        if listed.returncode == 0:
            found[each[:12]] = listed.stdout.strip()
    return found


def finding(stack: Stack) -> dict[str, Any]:
    """Return what status says of operations that were cut off."""
    document = json.loads(stack.run("ops/status", "--json").stdout)
    (found,) = [each for each in document["checks"] if each["name"] == "operation"]
    return dict(found)


def test_a_deployment_is_mended_wherever_it_was_killed_and_nothing_is_lost(stack: Stack) -> None:
    places = PLACES if EVERYWHERE else PLACES[1::2]
    with BackgroundLoad(stack.project.address()[1], rate=RATE) as load:
        load.wait_for(BEFORE)
        for place, mend in zip(places, cycle(["--resume", "--abort"]), strict=False):
            (before,) = servers(stack).values()
            wanted = "1" if before == "2" else "2"
            is_past = PLACES.index(place) >= PLACES.index("trial release")
            killed(stack, place, "deploy", "--image", f"{stack.tag}-{wanted}")
            there, found = servers(stack), finding(stack)
            if len(there) > 1:
                match = re.search(
                    r"cut off.*container (\w+) is proven and serves", found["message"]
                )
                assert match, (place, found)
                assert "ops/deploy --resume" in found["remedy"]
                assert (there[match[1]] == wanted) == is_past
            # Somebody who does not know of it.
            done = stack.run("docker", "compose", "up", "--detach", "--no-build")
            assert done.returncode == 0, done.stderr
            done = stack.run("ops/deploy", mend)
            assert done.returncode == 0, (place, done.stdout, done.stderr)
            after = servers(stack)
            is_new = mend == "--resume" or is_past
            assert list(after.values()) == [wanted if is_new else before], place
            assert finding(stack)["ok"], place
            assert releases.tags("bascule-server")[stack.tag] == stack.image(), place
            load.wait_for(load.account.right.total() + BEFORE)
            assert not load.account.failures, (place, *load.account.lines())
    assert load.account.is_complete


def test_what_serves_alone_is_started_again_by_the_engine(stack: Stack) -> None:
    (before,) = servers(stack).values()
    wanted = "1" if before == "2" else "2"
    killed(stack, "run docker tag|3", "deploy", "--image", f"{stack.tag}-{wanted}")
    (beside,) = servers(stack)
    assert servers(stack)[beside] == wanted
    # As at the end of the engine, or of the machine; `docker kill` would have the engine leave it so.
    pid = run("docker", "inspect", "--format", "{{.State.Pid}}", beside)
    os.kill(int(pid), signal.SIGKILL)
    address = stack.project.address()

    def serves() -> bool:
        return servers(stack) == {beside: wanted} and fetch(address, "/").status == 200

    wait_until(serves, "it to serve again", limit=FACT_SECONDS)
    done = stack.run("ops/deploy", "--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    after = servers(stack)
    assert list(after.values()) == [wanted]
    assert beside not in after


def test_compose_up_leaves_alone_what_serves_while_a_new_image_loads(
    stack: Stack,
) -> None:
    hangs = f"{stack.tag}-hangs"
    releases.build(hangs, releases.HANGS, f"bascule-server:{stack.tag}")
    (before,) = servers(stack)
    environ = {**os.environ, **stack.environment}
    with (
        BackgroundLoad(stack.project.address()[1], rate=RATE) as load,
        Process(["ops/deploy", "--image", hangs], env=environ) as process,
    ):
        load.wait_for(BEFORE)
        wait_until(lambda: len(servers(stack)) == 2, "a second container", limit=FACT_SECONDS)
        done = stack.run("docker", "compose", "up", "--detach", "--no-build")
        assert done.returncode == 0, done.stderr
        assert "Recreate" not in done.stderr
        load.wait_for(load.account.right.total() + BEFORE)
        process.signal_group(signal.SIGINT)
        assert process.wait(60) == 130
        assert f"Nothing has changed: container {before} serves." in process.err
    assert load.account.is_complete
    assert not load.account.failures, "\n".join(load.account.lines())
    assert list(servers(stack)) == [before]


def test_what_is_built_has_another_name_until_it_serves(stack: Stack) -> None:
    image = stack.image()
    # Ours does not have the application that the settings of this stack name.
    done = stack.run("ops/deploy", "--build", "--timeout", "20")
    assert done.returncode == 1
    assert "Nothing has changed" in done.stderr
    tags = releases.tags("bascule-server")
    assert tags[stack.tag] == stack.image() == image
    assert tags[f"{stack.tag}-candidate"] != image


def test_up_starts_the_image_that_was_deployed(stack: Stack) -> None:
    image = stack.image()
    run("docker", "rm", "--force", stack.project.container("server"))
    done = stack.run("ops/up", "--docker", HTTP_PORT="127.0.0.1:0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert stack.image() == image
    done = stack.run("ops/rollback")
    assert done.returncode == 0, done.stdout + done.stderr
    assert stack.image() != image


# The last one: nothing runs after it.
def test_down_ends_what_a_killed_deployment_left_as_well(stack: Stack) -> None:
    killed(stack, "trial try", "deploy", "--image", f"{stack.tag}-2")
    assert len(servers(stack)) == 2
    done = stack.run("ops/down")
    assert done.returncode == 0, done.stderr
    assert not servers(stack)
