"""A snapshot in Prometheus's text format.

Counters and histograms come from the workers' shared file and outlive a worker; gauges are
what the workers tell of themselves at that moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

# By key of a worker's counters: name (without _total) and help.
COUNTERS: Final = {
    "slow_calls": ("bascule_slow_calls", "Calls that were slow enough to be sampled."),
    "hung_requests": ("bascule_hung_requests", "Requests past their deadline, answered 504."),
    "internal_errors": (
        "bascule_internal_errors",
        "Failures within the worker that it survived (internal_error in the log).",
    ),
    "rate_limited": ("bascule_rate_limited", "Answers with status 429."),
    "refused": ("bascule_refused", "Requests refused with 503 for want of a thread."),
    "client_disconnects": (
        "bascule_client_disconnects",
        "Requests whose client left before the answer (499 in the log).",
    ),
    "received_bytes": ("bascule_received_bytes", "Bytes received, heads included."),
    "sent_bytes": ("bascule_sent_bytes", "Bytes sent, heads included."),
    "starts": ("bascule_worker_starts", "Starts of the worker's process."),
}
HISTOGRAMS: Final = {
    "duration": (
        "bascule_request_duration_seconds",
        "From a request's head to the last byte of its answer.",
    ),
    "queue_wait": ("bascule_queue_wait_seconds", "From a whole request to a thread for it."),
}
NGINX_STATES: Final = ("active", "reading", "writing", "waiting")
NGINX_COUNTERS: Final = {
    "accepted": ("bascule_nginx_accepted", "Connections that nginx accepted."),
    "handled": ("bascule_nginx_handled", "Connections that nginx handled."),
    "requests": ("bascule_nginx_requests", "Requests that nginx served."),
}


class SnapshotCollector(Collector):
    """The metrics of one snapshot."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def collect(self) -> Iterator[Metric]:
        """All families, the workers' first."""
        workers = self._document["workers"]
        counted = [
            (worker["worker"], worker["metrics"])
            for worker in [*workers, *self._document["retired"]]
            if worker["metrics"]
        ]
        yield from _counters(counted)
        yield from _histograms(counted)
        yield from _gauges(workers)
        yield from _nginx(self._document["nginx"])
        yield from _certificates(self._document["certificates"])


def _counters(counted: list[tuple[str, dict[str, Any]]]) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "bascule_requests", "Requests by the class of their status.", labels=["worker", "status"]
    )
    for name, values in counted:
        for status, number in values["requests"].items():
            requests.add_metric([name, status], number)
    yield requests
    for key, (family, meaning) in COUNTERS.items():
        metric = CounterMetricFamily(family, meaning, labels=["worker"])
        for name, values in counted:
            metric.add_metric([name], values[key])
        yield metric


def _histograms(counted: list[tuple[str, dict[str, Any]]]) -> Iterator[Metric]:
    for key, (family, meaning) in HISTOGRAMS.items():
        metric = HistogramMetricFamily(family, meaning, labels=["worker"])
        for name, values in counted:
            buckets = [(f"{bound}", float(number)) for bound, number in values[key]["buckets"]]
            buckets.append(("+Inf", float(values[key]["count"])))
            metric.add_metric([name], buckets=buckets, sum_value=values[key]["sum_s"])
        yield metric


# By name: what it is of a worker's answer, and help.
GAUGES: Final[dict[str, tuple[str, Callable[[dict[str, Any]], float]]]] = {
    "bascule_requests_in_flight": (
        "Requests that the worker has.",
        lambda it: sum(it["connections"][state] for state in ("body", "call", "send")),
    ),
    "bascule_threads_busy": ("Threads that call the application.", lambda it: it["threads_busy"]),
    "bascule_threads": ("Threads that may call it.", lambda it: it["threads"]),
    # A worker from before a deployment may not tell these three.
    "bascule_threads_hung": (
        "Threads whose request was given up and has not ended.",
        lambda it: it.get("threads_hung", 0),
    ),
    "bascule_threads_extra": (
        "Threads started because others are held.",
        lambda it: it.get("threads_extra", 0),
    ),
    "bascule_requests_streaming": (
        "Requests whose response is sent in pieces; each holds a thread.",
        lambda it: it.get("streaming", 0),
    ),
    "bascule_requests_waiting": ("Requests that wait for a thread.", lambda it: it["waiting"]),
    "bascule_resident_memory_bytes": ("Resident memory.", lambda it: it["resident_bytes"]),
    "bascule_open_descriptors": ("Open file descriptors.", lambda it: it["descriptors"]["open"]),
    "bascule_max_descriptors": (
        "File descriptors that it may open.",
        lambda it: it["descriptors"]["limit"],
    ),
    "bascule_worker_start_time_seconds": (
        "Start of the process, since the epoch.",
        lambda it: datetime.fromisoformat(it["started"]).timestamp(),
    ),
}


def _gauges(workers: list[dict[str, Any]]) -> Iterator[Metric]:
    up = GaugeMetricFamily("bascule_worker_up", "Whether the worker answers.", labels=["worker"])
    for worker in workers:
        up.add_metric([worker["worker"]], 0 if "error" in worker else 1)
    yield up
    answered = [worker for worker in workers if "error" not in worker]
    for family, (meaning, value) in GAUGES.items():
        metric = GaugeMetricFamily(family, meaning, labels=["worker"])
        for worker in answered:
            metric.add_metric([worker["worker"]], value(worker))
        yield metric
    connections = GaugeMetricFamily(
        "bascule_connections", "Connections by what they are at.", labels=["worker", "state"]
    )
    info = GaugeMetricFamily(
        "bascule_info", "What the worker runs.", labels=["worker", "version", "python"]
    )
    for worker in answered:
        for state, number in worker["connections"].items():
            connections.add_metric([worker["worker"], state], number)
        info.add_metric([worker["worker"], worker["version"], worker["python"]], 1)
    yield connections
    yield info


def _nginx(nginx: dict[str, Any]) -> Iterator[Metric]:
    if nginx["up"] is None:
        return
    yield GaugeMetricFamily("bascule_nginx_up", "Whether nginx answers.", value=int(nginx["up"]))
    if nginx["active"] is None:
        return
    states = GaugeMetricFamily(
        "bascule_nginx_connections", "nginx's client connections by state.", labels=["state"]
    )
    for state in NGINX_STATES:
        states.add_metric([state], nginx[state])
    yield states
    for key, (family, meaning) in NGINX_COUNTERS.items():
        yield CounterMetricFamily(family, meaning, value=nginx[key])


def _certificates(certificates: list[dict[str, Any]]) -> Iterator[Metric]:
    if not certificates:
        return
    ends = GaugeMetricFamily(
        "bascule_certificate_not_after_seconds",
        "End of a certificate's validity, since the epoch.",
        labels=["path", "subject"],
    )
    for each in certificates:
        end = datetime.fromisoformat(each["not_after"]).timestamp()
        ends.add_metric([each["path"], each["subject"]], end)
    yield ends


def render(document: dict[str, Any]) -> bytes:
    """The page that Prometheus scrapes."""
    return generate_latest(SnapshotCollector(document))
