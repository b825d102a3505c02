"""How ops/status and ops/running look."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from bascule.watch.status import MOST_REQUESTS
from bascule_ops.observe import running, status
from bascule_ops.observe.findings import bad, good, noted
from bascule_ops.text import units
from bascule_ops.text.colour import Paint, paint

from tests.ops.observed import metrics_document, request_document, worker_document

PLAIN = Paint(colours=False)


def document(*workers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A snapshot of workers, as far as it is shown."""
    return {
        "time": "2026-01-02T03:04:05.678Z",
        "version": "0.1.0",
        "mode": "local",
        "checks": [asdict(good("nginx", "nginx answers"))],
        "nginx": {"up": True, "active": 3, "reading": 0, "writing": 1, "waiting": 2, "requests": 9},
        "processes": [],
        "stopped": [],
        "memory": {"used_bytes": 2**28, "limit_bytes": 2**30, "oom_kills": 0},
        "workers": list(workers),
        "disk": [{"path": "/run", "free_bytes": 3 * 2**30, "total_bytes": 4 * 2**30}],
        "certificates": [],
        **changes,
    }


def test_a_worker_has_its_share_of_the_requests_and_of_the_time() -> None:
    counted = [metrics_document(1000), metrics_document(3000)]
    counted[0]["duration"]["sum_s"] = 9.0
    counted[1]["duration"]["sum_s"] = 1.0
    lines = status.screen(
        document(
            {**worker_document("0"), "metrics": counted[0]},
            {**worker_document("1", threads_busy=8, waiting=12), "metrics": counted[1]},
        ),
        PLAIN,
    ).splitlines()
    assert lines[0] == "healthy: nginx and 2 of 2 workers answer"
    assert lines[-5:-2] == [
        "WORKER  STATE    PID  UPTIME  STARTS    MEMORY  THREADS  WAITING  CONNECTIONS  REQUESTS"
        "   SHARE  BUSY SHARE",
        "0       serving  100   1h 1m       2  32.0 MiB   0 of 8        0            2     1,000"
        "  25.0 %      90.0 %",
        "1       serving  100   1h 1m       2  32.0 MiB   8 of 8       12            2     3,000"
        "  75.0 %      10.0 %",
    ]
    assert lines[-1] == "bascule 0.1.0, local, 2026-01-02T03:04:05.678Z"


def test_a_worker_tells_what_holds_its_threads_for_long() -> None:
    worker = worker_document("0", threads_busy=5, streaming=3, threads_hung=1) | {"metrics": None}
    assert "5 of 8 (3 stream, 1 hung)" in status.screen(document(worker), PLAIN)
    before = worker_document("0", threads_busy=5) | {"metrics": None}
    del before["streaming"], before["threads_hung"]
    assert "5 of 8  " in status.screen(document(before), PLAIN)


def test_what_failed_stands_below_the_verdict_with_its_remedy() -> None:
    check = asdict(bad("worker-0", "it is\x1b[2J gone", "find it"))
    worker = {"worker": "0", "error": "nobody listens", "metrics": None}
    lines = status.screen(document(worker, checks=[check]), PLAIN).splitlines()
    assert lines[:3] == [
        "NOT HEALTHY: worker-0 (0 of 1 workers answer)",
        "! it is\\x1b[2J gone",
        "  remedy: find it",
    ]


def test_a_note_stands_below_the_verdict_and_does_not_change_it() -> None:
    check = asdict(noted("worker-0", "worker-0 is being restarted"))
    worker = worker_document() | {"metrics": None}
    lines = status.screen(document(worker, checks=[check]), PLAIN).splitlines()
    assert lines[0].startswith("healthy: ")
    assert lines[1] == "note: worker-0 is being restarted"


def test_a_silent_worker_has_what_supervisord_knows_and_what_was_counted() -> None:
    process = {"name": "bascule:worker-0", "state": "RUNNING", "pid": 77, "uptime_s": 90}
    process |= {"last_error": "2026-01-02T03:04:05.678Z it ended\nwithout a word"}
    worker = {"worker": "0", "error": "no answer", "metrics": metrics_document(50)}
    screen = status.screen(document(worker, processes=[process]), PLAIN)
    row = next(line for line in screen.splitlines() if line.startswith("0 "))
    assert row.split() == [
        *("0", "no", "answer", "77", "1m", "30s", "2", "-", "-", "-", "-", "50"),
        *("100.0", "%", "100.0", "%"),
    ]
    assert "bascule:worker-0: 2026-01-02T03:04:05.678Z it ended\\nwithout a word" in screen


def test_requests_stand_in_the_order_of_their_age_and_cannot_write_to_the_terminal() -> None:
    young = request_document(
        age_s=0.1, path="/\x1b]0;title\x07", request_id=None, frames=[], location=""
    )
    old = request_document(age_s=75.0, state="hung")
    screen = running.screen(
        document({**worker_document("1", requests=[young, old]), "metrics": None}),
        PLAIN,
        stacks=True,
    )
    assert screen.splitlines() == [
        "2 in flight (1 hung, 1 running), the oldest for 1m 15s",
        "",
        "WORKER  THREAD       AGE  STATE    ID                METHOD  PATH               WHERE",
        "1       worker-1  1m 15s  hung     0123456789abcdef  GET     /slow"
        "              app/slow.py:7 wait",
        "1       worker-1   0.1 s  running  -                 GET     /\\x1b]0;title\\x07  -",
        "",
        "GET /slow (0123456789abcdef): hung, worker 1, worker-1",
        "    app/slow.py:7 wait",
        "    lib/python3.11/threading.py:9 wait",
        "",
        "GET /\\x1b]0;title\\x07 (no id): running, worker 1, worker-1",
    ]


def test_a_worker_that_tells_of_its_oldest_requests_only_is_said_to() -> None:
    waiting = request_document(state="waiting", thread=None, frames=[])
    worker = {**worker_document("3", requests=[waiting] * MOST_REQUESTS), "metrics": None}
    first, *_ = running.screen(document(worker), PLAIN, stacks=False).splitlines()
    assert first == (
        f"{MOST_REQUESTS} in flight ({MOST_REQUESTS} waiting), the oldest for 2.5 s; "
        f"of worker 3 only the oldest {MOST_REQUESTS} are shown"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0.04, "0.0 s"), (9.94, "9.9 s"), (10.2, "10 s"), (59.9, "59 s"), (60, "1m 0s")),
        *((3599, "59m 59s"), (7320, "2h 2m"), (90061, "1d 1h")),
    ],
)
def test_durations_have_two_units_at_the_most(seconds: float, text: str) -> None:
    assert units.duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        *(
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (3 * 2**30, "3.0 GiB"),
            (2**52, "4096.0 TiB"),
        )
    ],
)
def test_sizes_have_a_unit_that_fits(number: int, text: str) -> None:
    assert units.size(number) == text


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert paint("always")("bad", "x") == "\x1b[1;31mx\x1b[0m"
    assert paint("never")("bad", "x") == "x"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert paint("auto").colours
    monkeypatch.setenv("NO_COLOR", "1")
    assert not paint("auto").colours
