"""Debian's Prometheus, with the shipped rules, before whatever serves metrics."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import pytest

from tests.harness.fetch import NO_RESPONSE, fetch
from tests.harness.ports import free_port
from tests.harness.processes import ROOT, Process
from tests.harness.tree import LIMIT

SHIPPED = ROOT / "ops" / "stack" / "prometheus"
PAGE = ROOT / "docs" / "metrics.md"
DASHBOARD = ROOT / "ops" / "stack" / "grafana" / "dashboards" / "bascule.json"
# The table's first column: `name{label}`; the second is its kind.
DOCUMENTED = re.compile(r"^\| `(bascule_\w+)(?:\{[a-z,]+\})?` \| (\w+) \|", re.MULTILINE)
METRIC = re.compile(r"\bbascule_\w+")
# Grafana's variables, as it would fill them in.
VARIABLES = {"$__rate_interval": "1m", "$instance": ".*", "$worker": ".*"}


def binary(name: str) -> str:
    """The path of a program of Debian's package; the test is skipped where there is none."""
    found = shutil.which(name)
    if not found:
        reason = f"no {name}: apt-get install prometheus"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def promtool(*arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run promtool to its end, with `text` as its standard input."""
    command = [binary("promtool"), *map(str, arguments)]
    return subprocess.run(
        command, input=text, capture_output=True, text=True, check=False, timeout=60
    )


def documented() -> dict[str, str]:
    """The kind of every metric in docs/metrics.md."""
    return dict(DOCUMENTED.findall(PAGE.read_text()))


def metrics_of(expression: str) -> set[str]:
    """Names of the documented metrics that an expression reads, and all others as they are."""
    histograms = [name for name, kind in documented().items() if kind == "histogram"]
    names = set(METRIC.findall(expression))
    return {
        next(
            (each for each in histograms if re.fullmatch(f"{each}_(bucket|sum|count)", name)), name
        )
        for name in names
    }


def panels() -> list[dict[str, Any]]:
    """The dashboard's panels, without the rows' headings."""
    dashboard = json.loads(DASHBOARD.read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def filled_in(expression: str) -> str:
    """An expression of the dashboard as Grafana sends it to Prometheus."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def dashboard_expressions() -> list[tuple[str, str]]:
    """Every panel's title with each of its expressions, ready for Prometheus."""
    return [
        (panel["title"], filled_in(target["expr"]))
        for panel in panels()
        for target in panel["targets"]
    ]


class Prometheus:
    """A Prometheus that reads `target` (``HOST:PORT``) every `interval` seconds.

    Its rules are the shipped ones, without the time for which a cause has to last.
    """

    def __init__(self, target: str, interval: int = 1) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="prometheus-"))
        self.port = free_port()
        rules = (SHIPPED / "alerts.yml").read_text()
        (self.directory / "alerts.yml").write_text(re.sub(r" for: \w+", " for: 0s", rules))
        shipped = (SHIPPED / "prometheus.yml").read_text()
        (self.directory / "prometheus.yml").write_text(
            re.sub(r"scrape_(interval|timeout): \w+", rf"scrape_\1: {interval}s", shipped)
            .replace("evaluation_interval: 15s", "evaluation_interval: 1s")
            .replace("nginx:8081", target)
        )

    def __enter__(self) -> Self:
        self._process = Process(
            [
                binary("prometheus"),
                f"--config.file={self.directory / 'prometheus.yml'}",
                f"--storage.tsdb.path={self.directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ]
        )
        self._process.wait_until(
            self._is_ready, "Prometheus to be ready", limit=LIMIT, passing=NO_RESPONSE
        )
        return self

    def _is_ready(self) -> bool:
        return fetch(self.port, "/-/ready", limit=5).status == 200

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.signal(signal.SIGTERM)
            self._process.wait(LIMIT)
        shutil.rmtree(self.directory)

    def get(self, path: str, **parameters: str) -> Any:
        """The ``data`` of an answer of the HTTP API; what it complains of fails the test."""
        reply = fetch(self.port, f"/api/v1/{path}?{urlencode(parameters)}", limit=10)
        assert reply.status == 200, f"{path} {parameters}: {reply.text}"
        said = reply.json
        assert said["status"] == "success", said
        assert not said.get("warnings"), said
        return said["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples that an expression has now."""
        found: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return found

    def value(self, expression: str) -> float:
        """The one value of an expression; NaN without a sample."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else float("nan")

    def rules(self) -> list[dict[str, Any]]:
        """The alert rules as Prometheus has read them."""
        groups = self.get("rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def firing(self) -> dict[str, dict[str, Any]]:
        """What fires, by the alert's name."""
        alerts = self.get("alerts")["alerts"]
        return {each["labels"]["alertname"]: each for each in alerts if each["state"] == "firing"}
