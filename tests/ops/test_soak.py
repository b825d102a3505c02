"""tests/soak/run: what it makes of its samples, what it excuses, and a short run of it."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.harness.processes import Process
from tests.harness.tree import LIMIT, Tree
from tests.harness.waiting import wait_until
from tests.load.account import Failure
from tests.load.kinds import Kind, Reuse
from tests.soak.faults import FAULTS, Faults
from tests.soak.samples import MEBIBYTE, WARM_UP, Sample, Sampler, slope
from tests.soak.stack import Stack


def life(pid: int, level: float, an_hour: float, count: int = 50) -> list[Sample]:
    """Return the samples of a process that grows so many MiB an hour, with some noise."""
    return [
        Sample(
            "worker-0",
            pid,
            since=WARM_UP + number * 10.0,
            memory=int((level + an_hour * number / 360 + 0.01 * math.sin(number)) * MEBIBYTE),
            descriptors=20,
        )
        for number in range(count)
    ]


def test_the_slope_is_that_of_each_life_whatever_their_levels() -> None:
    found = slope([*life(1, 20.0, 6.0), *life(2, 40.0, 6.0)], "memory", MEBIBYTE)
    assert found is not None
    assert found.an_hour == pytest.approx(6.0, abs=0.2)
    assert 0 < found.within < 0.2


def test_what_does_not_grow_has_no_slope() -> None:
    found = slope(life(1, 20.0, 6.0), "descriptors")
    assert found is not None
    assert (found.an_hour, found.within) == (0.0, 0.0)


def test_a_step_that_stays_is_no_sure_growth() -> None:
    steps = [Sample("worker-0", 1, WARM_UP + at, 100 + (at > 400), 20) for at in range(720)]
    found = slope(steps, "memory")
    assert found is not None
    assert 0.5 * found.an_hour < found.within


def test_too_few_samples_have_no_slope() -> None:
    assert slope([], "memory") is None
    assert slope(life(1, 20.0, 0.0, count=5), "memory") is None


def test_the_warm_up_does_not_count() -> None:
    early = [Sample("worker-0", 1, float(at), at * MEBIBYTE, 20) for at in range(int(WARM_UP))]
    found = slope([*early, *life(1, 60.0, 0.0)], "memory", MEBIBYTE)
    assert found is not None
    assert abs(found.an_hour) < 0.2


def test_a_sample_of_a_process_that_has_ended_is_left_out() -> None:
    sampler = Sampler()
    sampler.look({"worker-0": os.getpid(), "worker-1": 2**22 + 1}, 10.0)
    sampler.look({"worker-0": os.getpid()}, 12.0)
    assert [(each.worker, each.since) for each in sampler.samples] == [
        ("worker-0", 0.0),
        ("worker-0", 2.0),
    ]
    assert all(each.memory > MEBIBYTE and each.descriptors > 2 for each in sampler.samples)


GET = Kind("slow-get", "GET", Reuse.KEEP, 1)
POST = Kind("slow-post", "POST", Reuse.KEEP, 1)
UPLOAD = Kind("upload", "POST", Reuse.KEEP, 1, sent=MEBIBYTE)


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Faults, float]:
    """A stack one of whose workers has been killed, and when."""
    monkeypatch.setattr("tempfile.mkdtemp", lambda prefix: str(tmp_path))
    stack = Stack(1)
    monkeypatch.setattr(stack, "workers", iter([{"worker-0": 2**22 + 1}, {"worker-0": 1}]).__next__)
    monkeypatch.setattr(os, "kill", lambda _pid, _signal: None)
    faults = Faults(stack)
    moment = time.monotonic()
    faults.do("kill -9")
    assert faults.wrong == []
    return faults, moment


@pytest.mark.parametrize(
    ("kind", "reason", "times", "excused"),
    [
        (POST, "status 502", (-1.0, 1.0), True),
        (POST, "status 502", (0.02, 0.03), True),
        (POST, "status 502", (-3.0, -2.0), False),
        (POST, "status 502", (0.5, 0.6), False),
        (POST, "status 502", (5.0, 6.0), False),
        (GET, "status 502", (-1.0, 1.0), False),
        (GET, "closed within the answer", (-1.0, 1.0), True),
        (UPLOAD, "status 503", (5.0, 6.0), False),
    ],
)
def test_only_what_a_killed_worker_had_is_excused(
    killed: tuple[Faults, float],
    kind: Kind,
    reason: str,
    times: tuple[float, float],
    excused: bool,
) -> None:
    faults, moment = killed
    began, ended = times
    failure = Failure(kind, "token", reason, moment + began, moment + ended)
    assert bool(faults.excuse(failure)) is excused


@pytest.mark.integration
def test_a_short_soak_does_every_fault_and_nothing_fails_that_must_not(venv: Path) -> None:
    tree = Tree(venv)
    try:
        done = tree.run("tests/soak/run", "0.25", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        report = json.loads(done.stdout)
        assert set(FAULTS) <= set(report["faults"])
        assert report["accounted_for"]
        assert report["failed"] == {}
        assert report["wrong"] == []
        assert report["right"] > 200
        assert set(report["workers"]) == {"worker-0", "worker-1"}
        assert report["workers"]["worker-0"]["processes"] >= 2
    finally:
        tree.remove()


def soaking(tree: Tree) -> Process:
    """A long soak in a group of its own, as on a terminal."""
    command = ["env", "--default-signal=INT", "tests/soak/run", "5"]
    return Process(command, cwd=tree.root, env=tree.environ | {"TMPDIR": str(tree.root)})


@pytest.mark.integration
def test_an_interrupted_soak_reports_what_it_found_and_blames_nothing_else(venv: Path) -> None:
    tree = Tree(venv)
    try:
        with soaking(tree) as process:
            # The reload still waits for the clients, in a process beside.
            while "last: nginx reload" not in process.read_line(LIMIT):
                pass
            process.signal_group(signal.SIGINT)
            status, output = process.wait(LIMIT), process.words
        assert status == 0, output
        assert "Interrupted" in output
        assert re.search(r"^0[.0-9]* min, [0-9]+ requests", output, re.MULTILINE), output
        assert list(tree.root.glob("soak-*")) == []
    finally:
        tree.remove()


@pytest.mark.integration
def test_a_soak_that_is_interrupted_while_the_stack_starts_leaves_nothing(venv: Path) -> None:
    tree = Tree(venv)
    try:
        with soaking(tree) as process:
            wait_until(
                lambda: list(tree.root.glob("soak-*/run/*.sock")), "the stack to begin", limit=LIMIT
            )
            process.signal_group(signal.SIGINT)
            status, output = process.wait(LIMIT), process.words
        assert status == 130, output
        assert "interrupted" in output
        assert "Traceback" not in output
        assert list(tree.root.glob("soak-*")) == []
    finally:
        tree.remove()


@pytest.mark.parametrize("wrong", ["0", "-1", "x", "100000"])
def test_a_wrong_length_is_refused(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.soak.__main__ import parse

    with pytest.raises(SystemExit) as ended:
        parse([wrong])
    assert ended.value.code == 2
    assert "minutes" in capsys.readouterr().err
