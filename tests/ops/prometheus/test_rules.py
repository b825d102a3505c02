"""The alert rules: right in form, each shown to fire, each with its page, each documented."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ops.prometheus.harness import (
    PAGE,
    ROOT,
    SHIPPED,
    Prometheus,
    documented,
    metrics_of,
    promtool,
)

pytestmark = pytest.mark.integration

UNIT_TESTS = Path(__file__).with_name("alerts.test.yml")
NAME = re.compile(r"- alert: (\w+)")


@pytest.fixture(scope="module")
def rules() -> Iterator[list[dict[str, Any]]]:
    """The rules as Prometheus reads them."""
    with Prometheus("127.0.0.1:1") as prometheus:
        yield prometheus.rules()


def test_promtool_finds_nothing_wrong_with_rules_and_configuration() -> None:
    for kind, name in (("rules", "alerts.yml"), ("config", "prometheus.yml")):
        checked = promtool("check", kind, SHIPPED / name)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_alert_fires_for_its_cause_and_for_nothing_else() -> None:
    done = promtool("test", "rules", UNIT_TESTS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_alert_is_left_out_of_those_tests() -> None:
    shipped = NAME.findall((SHIPPED / "alerts.yml").read_text())
    fired = re.findall(r'alertname="(\w+)",alertstate="firing"', UNIT_TESTS.read_text())
    assert sorted(fired) == sorted(shipped)


def test_an_alert_says_how_bad_it_is_what_happened_and_what_to_do(
    rules: list[dict[str, Any]],
) -> None:
    assert rules
    durations = re.findall(r"^ +for: (\w+)$", (SHIPPED / "alerts.yml").read_text(), re.MULTILINE)
    assert len(durations) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["name"]
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}, rule["name"]
        assert (ROOT / rule["annotations"]["runbook"]).is_file(), rule["annotations"]["runbook"]


def test_rules_read_no_metric_that_there_is_not(rules: list[dict[str, Any]]) -> None:
    read = {metric for rule in rules for metric in metrics_of(rule["query"])}
    assert read
    assert read <= set(documented())


def test_the_page_lists_the_alerts_as_they_are(rules: list[dict[str, Any]]) -> None:
    listed = re.findall(r"^\| `(Bascule\w+)` \| (\w+) \|", PAGE.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted((rule["name"], rule["labels"]["severity"]) for rule in rules)


def test_the_lines_for_a_prometheus_of_ones_own_are_a_configuration(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "prometheus.yml").write_text(block)
    (tmp_path / "alerts.yml").write_text((SHIPPED / "alerts.yml").read_text())
    checked = promtool("check", "config", tmp_path / "prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
