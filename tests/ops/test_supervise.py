"""The supervisor as a container runs it: in the foreground, as its entry point."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from bascule.told import metrics

from tests.harness.processes import Process
from tests.harness.tree import LIMIT, Tree
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.integration

NEEDS_A_DATABASE = """
from bascule_middleware.wsgi import application
open("database").close()
"""
FAILS_IN_WORKER_1 = """
import os
from bascule_middleware.wsgi import application
if os.environ.get("BASCULE_WORKER") == "1":
    raise RuntimeError("only here")
"""


@pytest.fixture
def contained(tree: Tree) -> Iterator[Tree]:
    """A tree with the settings that an image would have."""
    run_dir = tree.root / "run"
    tree.environ |= {
        "RUN_DIR": str(run_dir),
        "SUPERVISOR_DIR": str(run_dir),
        "PYTHON": str(tree.root / ".venv-run/bin/python"),
        "WORKERS": "2",
    }
    tree.environ.pop("HTTP_PORT")
    yield tree
    tree.environ.pop("RUN_DIR")


def supervise(tree: Tree, **settings: str) -> Process:
    """The supervisor, stopped at the end of the block where it still runs."""
    command = [tree.environ["PYTHON"], "-P", "-m", "bascule_ops.supervision.supervised"]
    return Process(command, cwd=tree.root, env=tree.environ | settings)


def test_it_ends_with_0_and_only_json_when_it_is_asked_to(contained: Tree) -> None:
    with supervise(contained) as process:
        # Asked to end before that, one is still being loaded.
        for name in ("worker-0", "worker-1", "observer"):
            wait_until((contained.root / "run" / f"{name}.sock").exists, name, limit=LIMIT)
        process.signal(signal.SIGTERM)
        assert process.wait(LIMIT) == 0
        lines = [json.loads(line) for line in (process.out + process.err).splitlines()]
        assert all("worker" in line for line in lines)
        assert {line["worker"] for line in lines if line["event"] == "listening"} == {"0", "1"}


def test_counters_that_no_worker_would_take_are_made_anew(contained: Tree) -> None:
    counters = contained.root / "run" / "metrics"
    counters.parent.mkdir()
    counters.write_bytes(b"of another version")
    with supervise(contained) as process:
        wait_until((contained.root / "run" / "worker-0.sock").exists, "worker-0", limit=LIMIT)
        assert "0" in {each.worker for each in metrics.read(counters)}
        assert '"event": "counters_anew"' in process.err
        process.signal(signal.SIGTERM)
        assert process.wait(LIMIT) == 0


def test_it_fails_with_a_last_line_that_says_why_when_no_worker_can_start(
    contained: Tree,
) -> None:
    with supervise(contained, BASCULE_APP="no.such:application") as process:
        assert process.wait(LIMIT) == 1
        last = json.loads(process.err.splitlines()[-1])
        assert last["level"] == "critical"
        assert "could not be started" in last["message"]
        assert any("no.such" in words or "'no'" in words for words in last["last_words"])


def told(process: Process) -> list[dict[str, Any]]:
    """The whole lines of the log so far that are JSON objects."""
    whole, _, _ = process.err.rpartition("\n")
    return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]


def test_an_application_that_does_not_load_yet_is_tried_until_it_does(contained: Tree) -> None:
    (contained.root / "needs.py").write_text(NEEDS_A_DATABASE)
    with supervise(contained, BASCULE_APP="needs:application", WORKERS="1") as process:

        def trying() -> list[str]:
            lines = [line for line in told(process) if line["level"] == "warning"]
            return [line["message"] for line in lines]

        first, *_, last = process.wait_until(
            lambda: trying() if len(trying()) >= 5 else [], "five tries", limit=LIMIT
        )
        form = (
            r"bascule:worker-0: the application does not load yet: cannot load needs:application: "
            r"FileNotFoundError: .*; trying again for (\d+) s"
        )
        (at_first,), (at_last,) = re.findall(form, first), re.findall(form, last)
        assert 120 >= int(at_first) > int(at_last)
        (contained.root / "database").touch()
        wait_until((contained.root / "run" / "worker-0.sock").exists, "worker-0", limit=LIMIT)


def test_an_application_that_does_not_load_in_time_ends_it(contained: Tree) -> None:
    (contained.root / "needs.py").write_text(NEEDS_A_DATABASE)
    settings = {"BASCULE_APP": "needs:application", "START_TIMEOUT": "3"}
    with supervise(contained, **settings) as process:
        assert process.wait(LIMIT) == 1
        last = json.loads(process.err.splitlines()[-1])
        assert "could not be started" in last["message"]


@pytest.mark.parametrize(
    "wrong", [{"BASCULE_APP": "no.such:application"}, {"BASCULE_THREADS": "many"}]
)
def test_what_cannot_mend_itself_is_not_tried_again(contained: Tree, wrong: dict[str, str]) -> None:
    with supervise(contained, WORKERS="1", **wrong) as process:
        assert process.wait(LIMIT) == 1
        starts = [x for x in told(process) if x["message"].startswith("bascule:worker-0 is START")]
        assert len(starts) == 1


def test_one_worker_that_cannot_start_does_not_take_the_other_down(contained: Tree) -> None:
    (contained.root / "half.py").write_text(FAILS_IN_WORKER_1)
    with supervise(contained, BASCULE_APP="half:application", START_TIMEOUT="2") as process:

        def critical() -> list[dict[str, Any]]:
            return [
                line
                for line in told(process)
                if (line["level"], line["event"]) == ("critical", "process_state")
            ]

        news = process.wait_until(critical, "the news of worker-1", limit=LIMIT)
        assert news[0]["process"] == "bascule:worker-1"
        assert process.is_running()
        assert (contained.root / "run" / "worker-0.sock").exists()
        process.signal(signal.SIGTERM)
        assert process.wait(LIMIT) == 0


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("WORKERS", "many"),
        ("BASCULE_GRACEFUL_TIMEOUT", "x"),
        ("START_TIMEOUT", "soon"),
        ("RUN_DIR", "/dev/null/run"),
    ],
)
def test_a_wrong_setting_ends_it_with_one_line(contained: Tree, setting: str, value: str) -> None:
    with supervise(contained, **{setting: value}) as process:
        assert process.wait(LIMIT) == 2
        assert process.out == ""
        line = json.loads(process.err)
        assert line["level"] == "critical"
        assert value in line["message"]


@pytest.mark.parametrize("setting", ["RUN_DIR", "SUPERVISOR_DIR"])
def test_a_link_in_place_of_its_directories_ends_it(contained: Tree, setting: str) -> None:
    link = contained.root / "link"
    link.symlink_to(contained.root)
    with supervise(contained, **{setting: str(link)}) as process:
        assert process.wait(LIMIT) == 2
        assert f'{setting} is "{link}": that is a link' in json.loads(process.err)["message"]
