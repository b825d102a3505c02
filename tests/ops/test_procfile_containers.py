"""What the status makes of the containers of a Procfile's processes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bascule_ops.control.containers import PROCESS, of_procfile, process, served_by
from bascule_ops.observe import process_checks
from bascule_ops.observe.findings import Check


def inspected(status: str, seconds_ago: float = 60, restarts: int = 0) -> dict[str, Any]:
    """What the engine tells of a container."""
    moment = f"{(datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat()[:23]}456789Z"
    state = {"Status": status, "StartedAt": moment, "FinishedAt": moment, "ExitCode": 3}
    return {"State": state, "RestartCount": restarts}


def labels(name: str, number: str = "1", **more: str) -> dict[str, str]:
    return {PROCESS: name, "com.docker.compose.container-number": number, **more}


def found(container: dict[str, Any]) -> Check:
    """The one check of a stack with that container."""
    document = {
        "mode": "docker",
        "operation": None,
        "processes": [process(labels("worker"), container)],
    }
    (check,) = process_checks.of_procfile(document)
    return check


def test_containers_are_named_as_processes() -> None:
    made = process(labels("worker", "2"), inspected("running", 90))
    assert made
    assert (made["name"], made["state"]) == ("worker.2", "RUNNING")
    assert 90 <= made["uptime_s"] < 150


def test_release_and_commands_of_somebody_s_own_are_none() -> None:
    once = {"com.docker.compose.oneoff": "True"}
    assert process(labels("release"), inspected("exited")) is None
    assert process({**labels("worker"), **once}, inspected("running")) is None


@pytest.mark.parametrize(
    ("container", "is_well", "said", "remedy"),
    [
        (("running",), True, "worker.1 runs", ""),
        (("running", 600, 9), True, "worker.1 runs", ""),
        (("running", 1, 3), False, "has ended 3 times", "then ops/deploy --build"),
        (("restarting", 5, 3), False, "has ended 3 times", "ops/logs shows"),
        (("restarting", 5, 1), True, "is started again", ""),
        (("exited",), False, "worker.1 is EXITED", "ops/restart worker starts it"),
    ],
)
def test_one_that_keeps_ending_is_told_with_a_remedy(
    container: tuple[Any, ...], is_well: bool, said: str, remedy: str
) -> None:
    check = found(inspected(*container))
    assert check.ok is is_well
    assert said in check.message
    assert remedy in check.remedy


def test_an_image_is_that_of_the_server_and_of_what_the_procfile_has() -> None:
    configuration = {
        "services": {
            "server": {"image": "a"},
            "queue": {"image": "a", "labels": {PROCESS: "worker"}},
            "db": {"image": "postgres"},
        }
    }
    assert of_procfile(configuration) == {"worker": "queue"}
    images = {
        name: each["image"] for name, each in served_by(configuration, "b")["services"].items()
    }
    assert images == {"server": "b", "queue": "b", "db": "postgres"}
