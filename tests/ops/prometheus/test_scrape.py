"""Prometheus before a real stack: what it reads, and alerts that real faults make fire."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.fetch import fetch
from tests.harness.ports import free_port
from tests.harness.tree import LIMIT, Tree
from tests.harness.waiting import wait_until
from tests.nginx.certificates import make_pair
from tests.ops.prometheus.harness import (
    Prometheus,
    dashboard_expressions,
    documented,
    promtool,
)

pytestmark = pytest.mark.integration

# Seconds. Who asks a worker that stands still knows after 1.7 s.
INTERVAL = 3
LARGEST = 16 * 1024  # bytes that two workers' metrics may have
TYPE = re.compile(r"^# TYPE (\w+) (\w+)$", re.MULTILINE)
# Raises, hangs for good, takes long, or answers.
APPLICATION = """
import threading

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/error":
        raise RuntimeError("asked for")
    if path == "/hang":
        threading.Event().wait()
    if path == "/long":
        threading.Event().wait(0.8)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


class Watched:
    """A running stack of two workers, and the Prometheus that reads its metrics."""

    def __init__(self, tree: Tree, port: int, prometheus: Prometheus) -> None:
        self.tree = tree
        self.prometheus = prometheus
        self._port = port

    def metrics(self) -> str:
        """The exposition as it is now."""
        reply = fetch(self._port, "/-/metrics", limit=10)
        assert reply.status == 200
        return reply.text

    def wait_for_alert(self, name: str) -> dict[str, str]:
        """Wait until an alert fires; return its labels."""
        wait_until(lambda: name in self.prometheus.firing(), f"{name} to fire", limit=LIMIT)
        alert = self.prometheus.firing()[name]
        # A template that does not fit its expression ends up in the text.
        for text in alert["annotations"].values():
            assert "error" not in text.lower().replace("errors", ""), text
        return dict(alert["labels"])

    def wait_until_over(self, name: str) -> None:
        """Wait until an alert fires no more."""
        wait_until(lambda: name not in self.prometheus.firing(), f"{name} to be over", limit=LIMIT)


@pytest.fixture(scope="module")
def watched(venv: Path) -> Iterator[Watched]:
    """The stack and its Prometheus, which has read something."""
    port = free_port()
    tree = Tree(
        venv,
        STATUS_PORT=str(port),
        BASCULE_APP="app.faults:application",
        BASCULE_THREADS="2",
        BASCULE_BACKLOG_REQUESTS="0",
        BASCULE_TIMEOUT="2",
        HTTPS_PORT=str(free_port()),
    )
    tree.environ |= make_pair(tree.root / "tls", name="ending.example", days=3).settings
    (tree.root / "app" / "faults.py").write_text(APPLICATION)
    done = tree.up()
    assert done.returncode == 0, done.stdout + done.stderr
    with Prometheus(f"127.0.0.1:{port}", INTERVAL) as prometheus:
        wait_until(
            lambda: prometheus.value('count_over_time(up{job="bascule"}[1m])') > 1,
            "scrapes",
            limit=LIMIT,
        )
        yield Watched(tree, port, prometheus)
    tree.remove()


def listeners(tree: Tree) -> list[int]:
    """The processes that have workers replaced."""
    sign = b"bascule_ops.supervision.process_events"
    return [pid for pid in tree.pids() if sign in Path(f"/proc/{pid}/cmdline").read_bytes()]


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Processes that stand still."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_the_scrape_is_up_and_small(watched: Watched) -> None:
    assert watched.prometheus.value('up{job="bascule"}') == 1
    assert len(watched.metrics()) < LARGEST


def test_the_exposition_has_the_metrics_that_the_page_lists_and_no_other(watched: Watched) -> None:
    watched.tree.get("/")
    assert dict(TYPE.findall(watched.metrics())) == documented()


def test_promtool_has_no_objection_to_names_and_kinds(watched: Watched) -> None:
    checked = promtool("check", "metrics", text=watched.metrics())
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_expression_of_the_dashboard_has_data(watched: Watched) -> None:
    def empty() -> list[str]:
        watched.tree.get("/")
        return [
            f"{title}: {expression}"
            for title, expression in dashboard_expressions()
            if not watched.prometheus.query(expression)
        ]

    wait_until(lambda: not empty(), "data in every panel", limit=LIMIT)


def test_a_stack_that_serves_sets_no_alert_off(watched: Watched) -> None:
    for _ in range(20):
        assert watched.tree.get("/")[0] == 200
    # The first call of each worker may be slow, and the certificate is one for a test.
    harmless = {"BasculeSlowCalls", "BasculeCertificateExpiring"}
    assert set(watched.prometheus.firing()) <= harmless


def test_a_certificate_of_three_days_sets_an_alert_off(watched: Watched) -> None:
    labels = watched.wait_for_alert("BasculeCertificateExpiring")
    assert labels["subject"] == "ending.example"


def test_a_killed_worker_loses_none_of_its_counts(watched: Watched) -> None:
    # The worker 0 has counted until it was killed, and after it came back.
    def counted(worker: str) -> int:
        lines = watched.metrics().splitlines()
        named = [each for each in lines if each.startswith("bascule_requests_total{")]
        return sum(int(float(each.split()[-1])) for each in named if f'worker="{worker}"' in each)

    for _ in range(20):
        watched.tree.get("/")
    before = counted("0")
    assert before > 0
    killed = int(watched.tree.worker_pids()["worker-0"])
    os.kill(killed, signal.SIGKILL)
    wait_until(
        lambda: watched.tree.run("ops/health").returncode == 0, "the worker to be back", limit=LIMIT
    )
    assert int(watched.tree.worker_pids()["worker-0"]) != killed
    assert counted("0") >= before
    expression = 'bascule_worker_starts_total{worker="0"} >= 2'
    wait_until(
        lambda: watched.prometheus.query(expression), "its second start to be counted", limit=LIMIT
    )


def test_errors_of_the_application_set_an_alert_off(watched: Watched) -> None:
    def fires() -> bool:
        assert watched.tree.get("/error")[0] == 500
        return "BasculeErrors" in watched.prometheus.firing()

    wait_until(fires, "BasculeErrors to fire", limit=LIMIT)
    assert watched.wait_for_alert("BasculeErrors")["severity"] == "critical"


def test_a_worker_that_stands_still_sets_an_alert_off_until_it_goes_on(watched: Watched) -> None:
    pids = {name: int(pid) for name, pid in watched.tree.worker_pids().items()}
    with frozen(*listeners(watched.tree), pids["worker-1"]):  # else a successor takes its place
        assert watched.wait_for_alert("BasculeWorkerDown")["worker"] == "1"
        assert "BasculeNoWorker" not in watched.prometheus.firing()
        with frozen(pids["worker-0"]):
            watched.wait_for_alert("BasculeNoWorker")
    watched.wait_until_over("BasculeWorkerDown")
    watched.wait_until_over("BasculeNoWorker")


def test_requests_that_are_refused_set_an_alert_off_and_so_do_busy_threads(
    watched: Watched,
) -> None:
    over = threading.Event()
    statuses: set[int] = set()

    def client() -> None:
        while not over.is_set():
            status, _ = watched.tree.get("/long")
            statuses.add(status)
            if status == 503:
                time.sleep(0.1)  # as a client would; or the machine does nothing else

    with ThreadPoolExecutor(8) as clients:
        for _ in range(8):
            clients.submit(client)
        try:
            watched.wait_for_alert("BasculeRefusing")
            watched.wait_for_alert("BasculeThreadsExhausted")
        finally:
            over.set()
    assert statuses == {200, 503}


def test_a_hung_request_sets_an_alert_off(watched: Watched) -> None:
    assert watched.tree.get("/hang")[0] == 504
    assert watched.wait_for_alert("BasculeHungRequests")["severity"] == "critical"


def test_a_stack_that_is_gone_sets_an_alert_off(watched: Watched) -> None:
    watched.tree.run("ops/down")
    assert watched.wait_for_alert("BasculeUnreachable")["severity"] == "critical"
