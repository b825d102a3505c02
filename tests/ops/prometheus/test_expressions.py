"""Every expression that is shipped, put to a real Prometheus that reads every metric there is."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.harness.tree import LIMIT
from tests.harness.waiting import wait_until
from tests.ops.prometheus.harness import (
    DOCUMENTED,
    PAGE,
    Prometheus,
    dashboard_expressions,
)

pytestmark = pytest.mark.integration

# What the labels of the page's tables may say.
VALUES = {
    "status": ("2xx", "5xx"),
    "state": ("idle", "call", "active", "reading"),
    "version": ("1.0",),
    "python": ("3.13",),
    "path": ("tls/fullchain.pem",),
    "subject": ("example.org",),
}
LABELLED = re.compile(r"^\| `(bascule_\w+)\{([a-z,]+)\}`", re.MULTILINE)
ASKED = re.compile(r"^```promql\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def exposition(tick: int) -> str:
    """Every documented metric, with all values growing by `tick`."""
    page = PAGE.read_text()
    labels = {name: names.split(",") for name, names in LABELLED.findall(page)}
    lines = []
    for name, kind in DOCUMENTED.findall(page):
        lines.append(f"# TYPE {name} {kind}")
        own = [] if re.search("_nginx_|_certificate_", name) else ["worker"]
        names = [*own, *labels.get(name, [])]
        for values in itertools.product(
            *({**VALUES, "worker": ("0", "1")}[each] for each in names)
        ):
            said = ",".join(f'{key}="{value}"' for key, value in zip(names, values, strict=True))
            if kind != "histogram":
                lines.append(f"{name}{{{said}}} {tick}")
                continue
            lines += [
                f'{name}_bucket{{{said},le="0.1"}} {tick}',
                f'{name}_bucket{{{said},le="+Inf"}} {2 * tick}',
                f"{name}_sum{{{said}}} {tick}",
                f"{name}_count{{{said}}} {2 * tick}",
            ]
    return "\n".join(lines) + "\n"


class Exposition(BaseHTTPRequestHandler):
    """Answers each scrape with greater values."""

    ticks = itertools.count(1)

    def do_GET(self) -> None:
        body = exposition(next(self.ticks)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def prometheus() -> Iterator[Prometheus]:
    """A Prometheus that has read every metric twice."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Exposition) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        with Prometheus(f"127.0.0.1:{server.server_port}") as running:
            wait_until(
                lambda: running.value("count_over_time(bascule_nginx_up[1m])") >= 2,
                "scrapes",
                limit=LIMIT,
            )
            yield running
        server.shutdown()


@pytest.mark.parametrize(("title", "expression"), dashboard_expressions())
def test_an_expression_of_the_dashboard_has_data(
    title: str, expression: str, prometheus: Prometheus
) -> None:
    assert prometheus.query(expression), title


def test_an_expression_of_the_rules_is_evaluated_without_an_error(prometheus: Prometheus) -> None:
    def evaluated() -> list[dict[str, Any]]:
        return [rule for rule in prometheus.rules() if rule["health"] != "unknown"]

    wait_until(
        lambda: len(evaluated()) == len(prometheus.rules()),
        "all rules to be evaluated",
        limit=LIMIT,
    )
    assert [rule["lastError"] for rule in evaluated() if rule["health"] != "ok"] == []
    for rule in evaluated():
        prometheus.query(rule["query"])


def test_a_question_of_the_page_has_an_answer(prometheus: Prometheus) -> None:
    expressions = [line for block in ASKED.findall(PAGE.read_text()) for line in block.splitlines()]
    assert len(expressions) > 20
    empty = [each for each in expressions if not prometheus.query(each) and "== 0" not in each]
    assert empty == []
    asked = {name for each in expressions for name in re.findall(r"bascule_\w+", each)}
    for name, kind in DOCUMENTED.findall(PAGE.read_text()):
        wanted = {f"{name}_bucket"} if kind == "histogram" else {name}
        assert asked & wanted, f"the page has no example with {name}"
