"""ops/status where nobody of the stack can be asked: what the container engine knows."""

from __future__ import annotations

import argparse
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bascule_ops.observe import absent, snapshot

from tests.ops.observed import healthy

NEVER = "0001-01-01T00:00:00Z"
NGINX = f"nginx running 0 false {NEVER}"


def ended(ago: float) -> str:
    """A time in the engine's form."""
    return (datetime.now(UTC) - timedelta(seconds=ago)).strftime("%Y-%m-%dT%H:%M:%S.123456789Z")


@pytest.fixture
def status(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command with these containers; give its exit status and what it printed."""

    def run(*containers: str, arguments: tuple[str, ...] = ()) -> tuple[int, str, str]:
        options = argparse.Namespace(json="--json" in arguments, colour="auto")
        engine = "\n".join([*containers, ""])
        exit_status = absent.tell(engine, 2, "the stack does not run", options)
        return exit_status, *capsys.readouterr()

    return run


def failed(text: str) -> dict[str, str]:
    """The messages of the checks that failed, each of which brings a remedy."""
    found = [check for check in json.loads(text)["checks"] if not check["ok"]]
    assert all(check["remedy"] for check in found)
    return {check["name"]: check["message"] for check in found}


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ("server exited 1 false {}", "ended 10m 3[0-9]s ago, with exit status 1$"),
        ("server exited 137 true {}", "137: it needed more memory than it may have"),
        ("server restarting 1 false {}", "ends again and again"),
        (f"server created 0 false {NEVER}", "has not been started"),
        (f"server unheard-of 0 false {NEVER}", "is unheard-of"),
        ("", "is not there"),
    ],
)
def test_a_servers_container_that_does_not_run_is_told_with_how_it_ended(
    status: Any, container: str, words: str
) -> None:
    exit_status, out, err = status(NGINX, container.format(ended(630)), arguments=("--json",))
    assert (exit_status, err) == (1, "")
    assert failed(out).keys() == {"server"}
    assert re.search(words, failed(out)["server"])


def test_of_two_containers_of_a_deployment_one_that_runs_will_do(status: Any) -> None:
    pair = (f"server exited 0 false {ended(5)}", f"server running 0 false {NEVER}")
    _, out, _ = status(NGINX, *pair, arguments=("--json",))
    assert failed(out) == {}


def test_a_person_reads_the_verdict_and_what_to_do(status: Any) -> None:
    exit_status, out, _ = status(NGINX, f"server paused 0 false {NEVER}")
    assert exit_status == 1
    assert out.splitlines()[:3] == [
        "NOT HEALTHY: server (0 of 2 workers answer)",
        "! the container of server stands still: somebody paused it",
        "  remedy: docker compose unpause server",
    ]


def test_where_all_containers_have_ended_the_stack_does_not_run(status: Any) -> None:
    containers = (f"server exited 1 false {ended(9)}", f"nginx exited 0 false {ended(9)}")
    exit_status, out, err = status(*containers)
    assert (exit_status, err) == (3, "ops/status: the stack does not run; ops/up starts it\n")
    assert out.startswith("NOT HEALTHY: nginx, server ")


def test_the_document_has_the_keys_of_any_snapshot(status: Any) -> None:
    exit_status, out, _ = status(arguments=("--json",))
    assert exit_status == 3
    assert failed(out) == {"stack": "the stack does not run"}
    document = json.loads(out)
    with healthy() as stack:
        whole = snapshot.take(stack.settings)
    assert document.keys() == whole.keys()
    assert document["nginx"].keys() == whole["nginx"].keys()
    assert [worker["worker"] for worker in document["workers"]] == ["0", "1"]
    assert not document["healthy"]
