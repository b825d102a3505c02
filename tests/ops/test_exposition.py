"""The page of metrics: what Prometheus reads in it."""

from __future__ import annotations

from typing import Any

from bascule_ops.observe import exposition
from prometheus_client.parser import text_string_to_metric_families

from tests.ops.observed import metrics_document, worker_document

CONTRACT = {
    *("bascule_requests_total", "bascule_request_duration_seconds_bucket"),
    *("bascule_request_duration_seconds_sum", "bascule_request_duration_seconds_count"),
    *("bascule_queue_wait_seconds_bucket", "bascule_queue_wait_seconds_sum"),
    *("bascule_queue_wait_seconds_count", "bascule_requests_in_flight", "bascule_threads_busy"),
    *("bascule_threads", "bascule_requests_waiting", "bascule_connections"),
    *("bascule_threads_hung", "bascule_threads_extra", "bascule_requests_streaming"),
    *("bascule_slow_calls_total", "bascule_hung_requests_total", "bascule_rate_limited_total"),
    *("bascule_refused_total", "bascule_client_disconnects_total"),
    "bascule_internal_errors_total",
    *("bascule_received_bytes_total", "bascule_sent_bytes_total"),
    *("bascule_resident_memory_bytes", "bascule_worker_starts_total"),
    *("bascule_open_descriptors", "bascule_max_descriptors"),
    *("bascule_worker_start_time_seconds", "bascule_worker_up", "bascule_info"),
    *("bascule_nginx_up", "bascule_nginx_connections", "bascule_nginx_accepted_total"),
    *("bascule_nginx_handled_total", "bascule_nginx_requests_total"),
}


def document(**changes: Any) -> dict[str, Any]:
    """A snapshot of two workers of which the second does not answer, and of a third that was."""
    return {
        "workers": [
            {**worker_document("0", threads_busy=3), "metrics": metrics_document()},
            {"worker": "1", "error": "nobody listens", "metrics": metrics_document(20)},
        ],
        "retired": [{"worker": "7", "metrics": metrics_document(30)}],
        "nginx": {
            **{"up": True, "active": 3, "reading": 0, "writing": 1, "waiting": 2},
            **{"accepted": 10, "handled": 9, "requests": 25},
        },
        "certificates": [],
        **changes,
    }


def samples(page: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of a page, by its name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def value(page: bytes, name: str, **labels: str) -> float | None:
    return samples(page).get((name, tuple(sorted(labels.items()))))


def test_every_metric_is_there_under_its_name() -> None:
    names = {name for name, _ in samples(exposition.render(document()))}
    assert {name for name in names if not name.endswith("_created")} == CONTRACT


def test_counters_are_there_for_a_worker_that_is_silent_or_gone() -> None:
    page = exposition.render(document())
    found = [
        value(page, "bascule_requests_total", worker=worker, status="2xx")
        for worker in ("0", "1", "7")
    ]
    assert found == [8, 18, 28]
    assert value(page, "bascule_worker_starts_total", worker="1") == 2


def test_gauges_are_there_for_who_answers_and_the_other_is_down() -> None:
    page = exposition.render(document())
    assert value(page, "bascule_worker_up", worker="0") == 1
    assert value(page, "bascule_worker_up", worker="1") == 0
    assert value(page, "bascule_threads_busy", worker="0") == 3
    assert value(page, "bascule_threads_busy", worker="1") is None
    assert value(page, "bascule_connections", worker="0", state="idle") == 2
    start = value(page, "bascule_worker_start_time_seconds", worker="0")
    assert start == 1767323045.678
    assert value(page, "bascule_info", worker="0", version="0.1.0", python="3.13.5") == 1


def test_a_histogram_ends_with_a_bucket_for_all() -> None:
    page = exposition.render(document())
    name = "bascule_request_duration_seconds"
    buckets = [
        value(page, f"{name}_bucket", worker="0", le=bound) for bound in ("0.005", "0.5", "+Inf")
    ]
    assert buckets == [9, 10, 10]
    assert value(page, f"{name}_count", worker="0") == 10
    assert value(page, f"{name}_sum", worker="0") == 0.25


def test_requests_in_flight_are_those_that_are_read_answered_and_sent() -> None:
    connections = {"idle": 1, "head": 2, "body": 3, "call": 4, "send": 5, "linger": 6}
    worker = {**worker_document("0", connections=connections), "metrics": None}
    page = exposition.render(document(workers=[worker]))
    assert value(page, "bascule_requests_in_flight", worker="0") == 12


def test_an_nginx_that_is_down_or_does_not_count_has_no_counters() -> None:
    nothing = dict.fromkeys(("active", "reading", "writing", "waiting"))
    for up, told in ((False, 0), (True, 1)):
        page = exposition.render(document(nginx={"up": up, **nothing}))
        assert value(page, "bascule_nginx_up") == told
        assert value(page, "bascule_nginx_requests_total") is None


def test_the_end_of_a_certificate_is_a_moment_and_without_tls_there_is_none() -> None:
    name = "bascule_certificate_not_after_seconds"
    certificate = {
        **{"path": "/tls/fullchain.pem", "subject": "example.org"},
        **{"not_after": "2033-05-18T03:33:20Z", "days_left": 12.5},
    }
    page = exposition.render(document(certificates=[certificate]))
    assert value(page, name, path="/tls/fullchain.pem", subject="example.org") == 2_000_000_000
    assert name not in exposition.render(document()).decode()


def test_what_holds_threads_is_told_and_0_for_a_worker_from_before() -> None:
    now = worker_document("0", threads_hung=2, threads_extra=3, streaming=4)
    before = worker_document("1")
    for key in ("threads_hung", "threads_extra", "streaming"):
        del before[key]
    workers = [{**each, "metrics": metrics_document()} for each in (now, before)]
    page = exposition.render(document(workers=workers))
    for name, number in (
        ("bascule_threads_hung", 2),
        ("bascule_threads_extra", 3),
        ("bascule_requests_streaming", 4),
    ):
        assert value(page, name, worker="0") == number
        assert value(page, name, worker="1") == 0
