"""The dashboard's file: what Grafana needs to show it, and what a reader needs to follow it."""

from __future__ import annotations

import itertools
import json
from typing import Any

from tests.ops.prometheus.harness import DASHBOARD, ROOT, documented, metrics_of, panels

COLUMNS = 24  # of Grafana's grid
# Of Grafana's list of units (packages/grafana-data/src/valueFormats/categories.ts).
UNITS = {
    "short",
    "none",
    "percentunit",
    "bool_on_off",
    "reqps",
    "ops",
    "cps",
    "s",
    "d",
    "bytes",
    "Bps",
}


def test_every_panel_says_what_it_shows_and_in_which_unit() -> None:
    for panel in panels():
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        for target in panel["targets"]:
            assert {"refId", "expr", "legendFormat", "datasource"} <= set(target), panel["title"]


def test_panels_have_ids_of_their_own_and_lie_side_by_side() -> None:
    everything = json.loads(DASHBOARD.read_text())["panels"]
    ids = [panel["id"] for panel in everything]
    assert len(set(ids)) == len(ids)
    covered: set[tuple[int, int]] = set()
    for panel in everything:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS, panel["title"]
        cells = set(
            itertools.product(
                range(place["x"], place["x"] + place["w"]),
                range(place["y"], place["y"] + place["h"]),
            )
        )
        assert not cells & covered, panel["title"]
        covered |= cells


def test_it_shows_every_metric_that_there_is_and_no_other() -> None:
    shown = {
        metric
        for panel in panels()
        for target in panel["targets"]
        for metric in metrics_of(target["expr"])
    }
    assert shown == set(documented())


def test_it_works_with_whichever_prometheus_is_chosen() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    kinds = {each["name"]: each["type"] for each in dashboard["templating"]["list"]}
    assert kinds == {"datasource": "datasource", "instance": "query", "worker": "query"}
    found: list[Any] = []

    def collect(node: object) -> None:
        if isinstance(node, dict):
            found.extend(value for key, value in node.items() if key == "datasource")
            node = list(node.values())
        if isinstance(node, list):
            for each in node:
                collect(each)

    collect(dashboard)
    assert found
    assert all(each == {"type": "prometheus", "uid": "${datasource}"} for each in found)


def test_the_provisioned_paths_are_those_that_compose_mounts() -> None:
    provider = (ROOT / "ops/stack/grafana/provisioning/dashboards/bascule.yml").read_text()
    source = (ROOT / "ops/stack/grafana/provisioning/datasources/prometheus.yml").read_text()
    compose = (ROOT / "docker-compose.yml").read_text()
    assert "path: /etc/grafana/dashboards" in provider
    assert "./ops/stack/grafana/dashboards:/etc/grafana/dashboards:ro" in compose
    assert "./ops/stack/grafana/provisioning:/etc/grafana/provisioning:ro" in compose
    assert "/etc/grafana/dashboards/bascule.json" in compose
    assert "url: http://prometheus:9090" in source
