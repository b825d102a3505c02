"""The snapshot: what it says of a stack, and that nobody can make it wait."""

from __future__ import annotations

import dataclasses
import json
import re
import threading
import time
import xmlrpc.client
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from bascule_ops.observe import machine_checks, snapshot
from bascule_ops.supervision import failures
from bascule_ops.supervision.operation import Operation, alone

from tests.ops.observed import (
    PROCESSES,
    Parts,
    answer_request,
    disk_document,
    failed,
    healthy,
    look,
    parts,
    process_info,
    request_document,
    seconds,
)


@pytest.fixture
def stack() -> Iterator[Parts]:
    with healthy() as found:
        yield found


@pytest.fixture
def empty() -> Iterator[Parts]:
    with parts() as found:
        yield found


def notes(document: dict[str, Any]) -> list[str]:
    """What is worth telling though it is well."""
    found = [check for check in document["checks"] if check["note"]]
    assert all(check["ok"] and not check["remedy"] for check in found)
    return [check["message"] for check in found]


def test_a_stack_in_which_all_is_well_is_healthy(stack: Parts) -> None:
    document = look(stack.settings)
    assert failed(document) == {}
    assert [worker["worker"] for worker in document["workers"]] == ["0", "1"]
    assert document["nginx"] == {
        **{"up": True, "active": 3, "reading": 0, "writing": 1, "waiting": 2},
        **{"accepted": 10, "handled": 9, "requests": 25, "workers": None},
    }
    assert document["processes"][0] == {
        "name": "bascule:worker-0",
        "state": "RUNNING",
        "pid": 100,
        "since": "1970-01-01T00:16:40.000Z",
        "uptime_s": 60,
        "exit_status": None,
        "last_error": None,
        "recent_failures": 0,
        "recent_ends": [],
    }
    assert [each["name"] for each in document["processes"][2:]] == ["observer", "nginx"]
    assert json.loads(json.dumps(document)) == document


def test_a_stack_in_which_everybody_hangs_is_seen_within_two_seconds(empty: Parts) -> None:
    empty.all_hang()
    document: dict[str, Any] = {}
    assert seconds(lambda: document.update(snapshot.take(empty.settings))) < 2
    messages = failed(document)
    assert {"supervisor", "nginx", "worker-0", "worker-1"} <= messages.keys()
    assert re.fullmatch(r"nginx does not answer: no whole answer within 1\.\d s", messages["nginx"])


def test_a_name_server_that_hangs_costs_no_more(
    stack: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        over.wait()
        return []

    monkeypatch.setattr("socket.getaddrinfo", hang)
    settings = dataclasses.replace(stack.settings, nginx="nginx:8081")
    document: dict[str, Any] = {}
    assert seconds(lambda: document.update(snapshot.take(settings))) < 2
    over.set()
    assert failed(document) == {"nginx": "nginx does not answer: no answer within 1.7 s"}


def test_where_nothing_is_nothing_runs(empty: Parts) -> None:
    document = look(empty.settings)
    assert not snapshot.runs(document)
    assert {"supervisor", "nginx", "worker-0", "worker-1"} <= failed(document).keys()


def test_a_dead_supervisord_is_told_and_the_workers_are_still_seen(empty: Parts) -> None:
    empty.worker("0")
    empty.worker("1")
    empty.nginx()
    empty.counters()
    document = look(empty.settings)
    assert snapshot.runs(document)
    assert failed(document) == {
        "supervisor": "supervisord does not answer: its socket is not there"
    }


def test_a_dead_worker_is_told_with_what_supervisord_knows(empty: Parts) -> None:
    empty.worker("0")
    empty.nginx()
    empty.counters()
    empty.supervisor([PROCESSES[0], process_info("worker-1", "bascule", "FATAL")])
    failure = failures.Failure(time=time.time(), words="no module named shop")
    failures.add(empty.directory, "bascule:worker-1", failure)
    messages = failed(look(empty.settings))
    assert messages.keys() == {"worker-1"}
    assert messages["worker-1"].startswith("worker-1 could not be started")
    assert messages["worker-1"].endswith("no module named shop")


def test_a_process_that_ends_again_and_again_is_told_with_its_last_words(stack: Parts) -> None:
    for age in (400, 200, 100, 1):
        failure = failures.Failure(time=time.time() - age, words=f"died {age} s ago")
        failures.add(stack.directory, "bascule:worker-1", failure)
    messages = failed(look(stack.settings))
    assert messages.keys() == {"crash-loop"}
    assert "bascule:worker-1 ended 3 times in the last 5 minutes" in messages["crash-loop"]
    assert messages["crash-loop"].endswith("died 1 s ago")


@pytest.mark.parametrize(
    ("ends", "is_back"),
    [
        ((64, 62, 60), True),  # seconds ago
        ((124, 91, 60), False),  # they were 33 s apart
        ((110, 85, 60), True),
        ((13, 11, 9), False),
    ],
)
def test_a_process_is_back_when_it_has_not_ended_for_longer_than_it_used_to_last(
    stack: Parts, ends: tuple[int, ...], is_back: bool
) -> None:
    for age in ends:
        failure = failures.Failure(time=time.time() - age, words="no memory")
        failures.add(stack.directory, "bascule:worker-1", failure)
    document = look(stack.settings)
    assert failed(document).keys() == (set() if is_back else {"crash-loop"})
    words = [
        "bascule:worker-1 ended 3 times in the last 5 minutes; it is back, the last end was 1m"
    ]
    assert [note[: len(words[0])] for note in notes(document)] == (words if is_back else [])


@pytest.mark.parametrize("state", ["STOPPED", "FATAL"])
def test_a_process_that_does_not_run_is_not_back(empty: Parts, state: str) -> None:
    for age in (64, 62, 60):
        failure = failures.Failure(time=time.time() - age, words="no memory")
        failures.add(empty.directory, "bascule:worker-1", failure)
    empty.supervisor([PROCESSES[0], process_info("worker-1", "bascule", state)])
    assert "crash-loop" in failed(look(empty.settings))


RESTART = Operation(kind="restart", process="worker-1", number=2, of=2)
DEPLOYMENT = Operation(kind="deployment", process="", number=0, of=0)


@pytest.mark.parametrize(
    ("operation", "state", "note"),
    [
        (RESTART, "STOPPING", "worker-1 is being restarted (2 of 2): it finishes its requests"),
        (RESTART, "STOPPED", "worker-1 is being restarted (2 of 2): it has ended"),
        (RESTART, "STARTING", "worker-1 is being restarted (2 of 2): it starts"),
        (DEPLOYMENT, "STOPPING", "worker-1 is being replaced by a deployment"),
        (RESTART, "BACKOFF", ""),
        (RESTART, "FATAL", ""),
        (RESTART | {"process": "worker-0"}, "STOPPED", ""),
        (None, "STOPPED", ""),
    ],
)
def test_a_worker_that_is_restarted_on_purpose_is_no_fault_while_another_one_serves(
    empty: Parts, operation: Operation | None, state: str, note: str
) -> None:
    empty.worker("0")
    empty.nginx()
    empty.counters()
    empty.supervisor([PROCESSES[0], process_info("worker-1", "bascule", state)])
    with alone(empty.directory) as tell:
        if operation:
            tell(operation)
        document = look(empty.settings)
    assert document["operation"] == operation
    assert failed(document).keys() == (set() if note else {"worker-1"})
    assert notes(document) == ([note] if note else [])


def test_a_restart_in_which_nobody_serves_is_a_fault(empty: Parts) -> None:
    empty.worker("0", state="draining")
    empty.nginx()
    empty.counters()
    empty.supervisor([PROCESSES[0], process_info("worker-1", "bascule", "STOPPED")])
    with alone(empty.directory) as tell:
        tell(RESTART)
        assert failed(look(empty.settings)).keys() == {"worker-0", "worker-1"}


def test_what_a_restart_left_behind_that_was_killed_is_not_believed(stack: Parts) -> None:
    with alone(stack.directory) as tell:
        tell(RESTART)
        left_behind = {path: path.read_bytes() for path in stack.directory.glob("operation*")}
    assert look(stack.settings)["operation"] is None
    for path, content in left_behind.items():
        path.write_bytes(content)
    assert left_behind
    assert look(stack.settings)["operation"] is None


def test_workers_of_two_versions_are_no_fault_during_a_restart(empty: Parts) -> None:
    empty.worker("0")
    empty.worker("1", version="0.2.0")
    empty.nginx()
    empty.counters()
    empty.supervisor(PROCESSES)
    with alone(empty.directory) as tell:
        tell(RESTART)
        document = look(empty.settings)
    assert failed(document) == {}
    assert "workers differ in their version" in notes(document)[0]


def test_a_worker_whose_socket_another_one_has_taken_over_is_no_fault(empty: Parts) -> None:
    empty.worker("0")
    empty.worker("1")
    empty.nginx()
    empty.counters()
    empty.supervisor([PROCESSES[0], process_info("worker-1", "bascule", "STOPPING")])
    document = look(empty.settings)
    assert failed(document) == {}
    assert notes(document) == ["worker-1's successor serves; the process before it is STOPPING"]


@pytest.mark.parametrize("state", ["serving", "draining"])
def test_a_supervisord_that_stops_is_a_fault_unless_others_serve(empty: Parts, state: str) -> None:
    empty.worker("0")
    empty.worker("1", state=state)
    empty.nginx()
    empty.counters()
    fault = xmlrpc.client.dumps(xmlrpc.client.Fault(6, "SHUTDOWN_STATE")).encode()
    head = b"HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n" % len(fault)
    empty.answer("supervisor.sock", lambda it: answer_request(it, head + fault))
    document = look(empty.settings)
    assert failed(document).keys() == (set() if state == "serving" else {"supervisor", "worker-1"})


def test_a_container_that_is_about_to_end_has_a_successor_whose_workers_serve(empty: Parts) -> None:
    empty.worker("0")
    empty.worker("1")
    empty.nginx()
    empty.counters()
    document = look(dataclasses.replace(empty.settings, mode="docker"))
    assert failed(document) == {}
    assert notes(document) == ["supervisord is being stopped; its successor's workers serve"]


def test_a_worker_that_is_of_another_version_is_no_reason_to_fail(stack: Parts) -> None:
    stack.answer("worker-2.status", lambda it: it.wfile.write(b'{"worker": "2"}'))
    document = look(dataclasses.replace(stack.settings, workers=3))
    assert "it runs another version" in document["workers"][2]["error"]


@pytest.mark.parametrize("answer", [b"", b"no JSON", b"[]", b"\xff", b"{"])
def test_nonsense_from_a_worker_is_told_as_an_error(stack: Parts, answer: bytes) -> None:
    stack.answer("worker-2.status", lambda it: it.wfile.write(answer))
    document = look(dataclasses.replace(stack.settings, workers=3))
    assert document["workers"][2]["error"].startswith("it")


@pytest.mark.parametrize(
    ("worker", "successor", "shown"),
    [
        ("RUNNING", "STOPPED", "RUNNING"),
        ("RUNNING", "STARTING", "RUNNING"),
        ("RUNNING", "FATAL", "RUNNING"),
        ("STOPPING", "RUNNING", "RUNNING"),
        ("STOPPED", "RUNNING", "RUNNING"),
        ("STOPPED", "BACKOFF", "BACKOFF"),
        ("STOPPED", "FATAL", "FATAL"),
    ],
)
def test_of_a_worker_and_its_successor_one_is_the_worker(
    empty: Parts, worker: str, successor: str, shown: str
) -> None:
    infos = [
        process_info("successor-0", "bascule", successor) | {"start": 1010},
        process_info("worker-0", "bascule", worker),
        process_info("worker-1", "bascule"),
        process_info("successor-1", "bascule", "STOPPED") | {"start": 0},
    ]
    empty.supervisor([*infos, *PROCESSES[2:]])
    states = {each["name"]: each["state"] for each in look(empty.settings)["processes"]}
    assert states == {
        "bascule:worker-0": shown,
        "bascule:worker-1": "RUNNING",
        "observer": "RUNNING",
        "nginx": "RUNNING",
    }


@pytest.mark.parametrize(
    ("changes", "check", "words"),
    [
        (
            {"requests": [request_document(state="hung")]},
            "hung",
            "1 request hangs, for 2 s in worker-1: GET /slow",
        ),
        (
            {"waiting": 7, "requests": [request_document(state="waiting")]},
            "queue",
            "7 requests wait for a thread, the longest for 2.5 s in worker-1",
        ),
        (
            {"waiting": 1, "requests": [request_document(state="waiting")]},
            "queue",
            "1 request waits for a thread, for 2.5 s in worker-1",
        ),
        (
            {"requests": [request_document(state="hung")] * 2},
            "hung",
            "2 requests hang, the longest",
        ),
        (
            {"descriptors": {"open": 900, "limit": 1024}},
            "descriptors",
            "worker-1 has 900 descriptors open, 1024 is its limit",
        ),
        ({"version": "0.2.0"}, "versions", "workers differ in their version: 0.1.0, 0.2.0"),
        (
            {"application": "b:c"},
            "versions",
            "differ in their application: b:c, bascule_middleware.wsgi:application",
        ),
    ],
)
def test_what_is_wrong_in_a_worker_is_told(
    empty: Parts, changes: dict[str, Any], check: str, words: str
) -> None:
    empty.worker("0")
    empty.worker("1", **changes)
    empty.nginx()
    empty.counters()
    empty.supervisor(PROCESSES)
    messages = failed(look(empty.settings))
    assert messages.keys() == {check}
    assert words in messages[check]


def test_a_socket_that_somebody_removed_is_missed(stack: Parts) -> None:
    (stack.directory / "worker-1.sock").unlink()
    assert failed(look(stack.settings)).keys() == {"sockets"}


def test_a_worker_that_drains_needs_no_socket(empty: Parts) -> None:
    empty.worker("0")
    empty.worker("1", state="draining")
    (empty.directory / "worker-1.sock").unlink()
    empty.nginx()
    empty.counters()
    empty.supervisor(PROCESSES)
    assert failed(look(empty.settings)).keys() == {"worker-1"}  # and none of "sockets"


@pytest.mark.parametrize(
    ("free", "total", "is_low"),
    [
        (4.9, 100, True),  # per cent
        (5.1, 100, False),
        (0.09 * 1024, 2048, True),  # 92 MiB of 2 GiB
        (0.11 * 1024, 2048, False),
        (1, 16, False),  # a small file system has never had 100 MiB
    ],
)
def test_a_disk_is_low_by_its_share_and_a_large_one_by_what_is_left(
    free: float, total: float, is_low: bool
) -> None:
    disk = disk_document(free_bytes=free * 2**20, total_bytes=total * 2**20)
    (found,) = machine_checks.disk({"disk": [disk]})
    assert found.ok != is_low


@pytest.mark.parametrize(("days", "words"), [(13.9, "expires in 13.9 days"), (-1, "has expired")])
def test_a_certificate_that_ends_soon_is_told(days: float, words: str) -> None:
    certificate = {"path": "/site.pem", "subject": "shop.example", "days_left": days}
    document = {"certificates": [certificate], "errors": {"certificates": None}}
    (found,) = machine_checks.certificates(document)
    assert not found.ok
    assert found.message == f"the certificate shop.example in /site.pem {words}"


def test_a_certificate_that_is_missing_is_told(stack: Parts) -> None:
    settings = dataclasses.replace(stack.settings, certificates=(stack.directory / "none.pem",))
    assert "cannot be read" in failed(look(settings))["certificates"]


def test_an_observer_that_is_dead_is_told(empty: Parts) -> None:
    empty.worker("0")
    empty.worker("1")
    empty.nginx()
    empty.counters()
    empty.supervisor([*PROCESSES[:2], process_info("observer", state="FATAL")])
    assert failed(look(empty.settings)).keys() == {"observer"}


def test_an_nginx_that_does_not_count_is_up(empty: Parts) -> None:
    empty.worker("0")
    empty.worker("1")
    empty.nginx(b"HTTP/1.1 404 Not Found\r\n\r\n")
    empty.counters()
    empty.supervisor(PROCESSES)
    document = look(empty.settings)
    assert failed(document) == {}
    assert (document["nginx"]["up"], document["nginx"]["active"]) == (True, None)


def internal_error(age: float, **changes: Any) -> dict[str, Any]:
    """What a worker tells of a place that failed, the last time so many seconds ago."""
    last = datetime.fromtimestamp(time.time() - age, UTC).isoformat()
    return {"place": "tick_hung", "count": 3, "last": last, "error": "ValueError: no", **changes}


def test_what_a_worker_survived_is_told_with_its_last_failure_and_a_remedy(empty: Parts) -> None:
    empty.worker("0", internal_errors=[internal_error(300.0, place="log", count=1)])
    empty.worker("1", internal_errors=[internal_error(2.0)])
    empty.nginx()
    empty.counters()
    empty.supervisor(PROCESSES)
    document = look(empty.settings)
    message = failed(document)["internal-errors"]
    assert message.startswith("tick_hung failed 3 times in worker-1, the last time ")
    assert message.endswith(" ago: ValueError: no")
    (check,) = [each for each in document["checks"] if each["name"] == "internal-errors"]
    assert "internal_error" in check["remedy"]


def test_what_a_worker_survived_long_ago_is_no_fault_any_more(empty: Parts) -> None:
    empty.worker("0", internal_errors=[internal_error(3600.0)])
    empty.worker("1")
    empty.nginx()
    empty.counters()
    empty.supervisor(PROCESSES)
    document = look(empty.settings)
    assert failed(document) == {}
    assert "tick_hung failed 3 times in worker-0" in notes(document)[0]
