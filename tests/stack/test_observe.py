"""The profile `observe`: Prometheus in its container reads the stack beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import pytest

from tests.harness.fetch import fetch
from tests.harness.waiting import wait_until
from tests.stack.project import FACT_SECONDS, CommandError, Project
from tests.stack.test_hardening import NO_CAPABILITY, UID, process_statuses

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def observed(make_project: Callable[..., Project]) -> Iterator[Project]:
    """The stack with Prometheus. Grafana's image is not built here, so it may not be there."""
    ports = {"PROMETHEUS_PORT": "0", "GRAFANA_PORT": "0"}
    project = make_project(profiles=("observe",), settings=ports)
    project.compose("up", "--detach", "--wait", "--no-build", "nginx", "prometheus")
    yield project
    project.down()


def ask(project: Project, path: str, **parameters: str) -> object:
    """The ``data`` of an answer of Prometheus' HTTP API."""
    host, _, port = project.compose("port", "prometheus", "9090").strip().rpartition(":")
    assert host == "127.0.0.1"
    reply = fetch((host, int(port)), f"/api/v1/{path}?{urlencode(parameters)}", limit=10)
    assert reply.status == 200, reply.text
    return reply.json["data"]


def value(project: Project, expression: str) -> float | None:
    """The one value of an expression, where it has one."""
    data = ask(project, "query", query=expression)
    assert isinstance(data, dict)
    return float(data["result"][0]["value"][1]) if data["result"] else None


def test_it_reads_the_metrics_of_the_stack(observed: Project) -> None:
    assert fetch(observed.address(), "/alice").status == 200
    wait_until(
        lambda: value(observed, 'up{job="bascule"}') == 1, "the scrape to be up", limit=FACT_SECONDS
    )
    wait_until(
        lambda: value(observed, "sum(bascule_worker_up)") == 2,
        "both workers to be up",
        limit=FACT_SECONDS,
    )
    assert value(observed, "bascule_nginx_up") == 1
    wait_until(
        lambda: value(observed, "sum(bascule_requests_total)"),
        "requests to be counted",
        limit=FACT_SECONDS,
    )


def test_it_has_the_alert_rules_and_none_of_them_fires(observed: Project) -> None:
    rules = ask(observed, "rules")
    assert isinstance(rules, dict)
    assert sum(len(group["rules"]) for group in rules["groups"]) > 10
    assert value(observed, 'count(ALERTS{alertstate="firing"})') is None


def test_it_may_do_nothing_but_measure(observed: Project) -> None:
    for process in process_statuses(observed, "prometheus"):
        assert set(process["Uid"].split() + process["Gid"].split()) == {UID}, process["Name"]
        assert process["NoNewPrivs"] == "1", process["Name"]
        assert process["CapBnd"] == NO_CAPABILITY, process["Name"]
    with pytest.raises(CommandError, match="Read-only file system"):
        observed.execute("prometheus", "touch", "/probe")
    host = observed.inspect("prometheus")["HostConfig"]
    assert host["Memory"] > 0
    assert host["PidsLimit"] > 0
