"""Workers that die, applications that do not load, and a stop under load."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event

import pytest

from tests.harness.fetch import NO_RESPONSE, fetch
from tests.harness.waiting import wait_until
from tests.stack.project import FACT_SECONDS, CommandError, Project

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

SLOW = [f"/slow/{number}" for number in range(4)]
# nginx's error log has a form of its own, which cannot be set.
NGINX_ERROR_LINE = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[[a-z]+\] \d+#\d+: .+")

FIND_WORKER = """
for process in /proc/[0-9]*; do
    if tr '\\0' ' ' <$process/cmdline | grep -q '^[^ ]*python[^ ]* -P -m bascule .*worker-0.sock'; then
        echo ${process#/proc/}
    fi
done
"""


def assert_json_lines(lines: list[str]) -> None:
    """Every line is one JSON object that says when, how bad and what."""
    assert lines
    for line in lines:
        assert {"time", "level", "event"} <= json.loads(line).keys(), line


def find_worker(stack: Project) -> str:
    """Return the process id, inside its container, of worker 0; empty while there is none."""
    return stack.execute("server", "sh", "-c", FIND_WORKER).strip()


def test_a_worker_that_runs_but_does_not_answer_fails_the_health_check(stack: Project) -> None:
    _, *check = stack.inspect("server")["Config"]["Healthcheck"]["Test"]
    frozen = find_worker(stack)
    stack.execute("server", "sh", "-c", f"kill -STOP {frozen}")
    try:
        with pytest.raises(CommandError, match="worker-0"):
            stack.execute("server", *check)
    finally:
        stack.execute("server", "sh", "-c", f"kill -CONT {frozen}")
    assert "worker-0: 200" in stack.execute("server", *check)


def test_a_killed_worker_comes_back_and_no_request_fails_meanwhile(stack: Project) -> None:
    address = stack.address()
    killed = find_worker(stack)
    with ThreadPoolExecutor(1) as pool:
        done = Event()

        def keep_asking() -> list[int]:
            statuses = []
            while not done.is_set():
                statuses.append(fetch(address, "/alice").status)
            return statuses

        asking = pool.submit(keep_asking)
        try:
            stack.execute("server", "sh", "-c", f"kill -9 {killed}")
            wait_until(
                lambda: find_worker(stack) not in ("", killed), "a new worker", limit=FACT_SECONDS
            )
            wait_until(stack.answers, "an answer of every worker", limit=FACT_SECONDS)
        finally:
            done.set()
        statuses = asking.result()
    assert statuses.count(200) == len(statuses) > 10


def test_every_line_of_the_logs_is_json(stack: Project) -> None:
    fetch(stack.address(), "/%22quoted%22", fields={"User-Agent": 'a "quote" \\ and \xe9'})
    assert_json_lines(stack.log_lines("server"))
    assert_json_lines(
        [line for line in stack.log_lines("nginx") if not NGINX_ERROR_LINE.fullmatch(line)]
    )


def test_an_application_that_does_not_load_ends_the_container_with_a_last_line_that_says_why(
    make_project: Callable[..., Project],
) -> None:
    project = make_project(settings={"BASCULE_APP": "nonsense:app"})
    status, lines = project.run_service("server")
    assert status == 1, lines
    last = json.loads(lines[-1])
    assert last["level"] == "critical"
    assert "nonsense" in last["message"]


@pytest.fixture
def slow_stack(make_project: Callable[..., Project]) -> Iterator[Project]:
    """A stack whose application takes its time below /slow."""
    project = make_project(override="tests/stack/compose.slow.yml")
    project.up()
    yield project
    project.down()


def test_a_stop_under_load_loses_nothing_that_had_been_accepted(slow_stack: Project) -> None:
    address = slow_stack.address()
    stopped = Event()
    results: dict[str, int | Exception] = {}

    def ask(path: str, body: bytes | None) -> None:
        try:
            reply = fetch(address, path, method="POST" if body else "GET", body=body)
            digest = hashlib.sha256(body or b"").hexdigest()
            assert reply.body == f"{path} {digest}\n".encode()
            results[path] = reply.status
        except NO_RESPONSE as error:
            results[path] = error

    def keep_asking(who: str) -> None:
        for number in count():
            path = f"/{who}/{number}"
            ask(path, path.encode() * 100 if number % 2 else None)
            if stopped.is_set() or isinstance(results[path], Exception):
                return

    with ThreadPoolExecutor(len(SLOW) + 3) as pool:
        asking = [pool.submit(ask, path, b"slow" if path.endswith("1") else None) for path in SLOW]
        asking += [pool.submit(keep_asking, who) for who in ("a", "b", "c")]
        try:
            wait_until(
                lambda: {each.get("path") for each in slow_stack.events("server")} >= set(SLOW),
                "all slow requests in flight",
                limit=FACT_SECONDS,
            )
            slow_stack.compose("stop")
        finally:
            stopped.set()
        for each in asking:
            each.result()

    assert [results[path] for path in SLOW] == [200] * len(SLOW)
    accepted = {
        event["target"]: event["status"]
        for service in ("nginx", "server")
        for event in slow_stack.events(service)
        if event["event"] == "request" and event["target"] != "/"
    }
    assert len(accepted) > len(SLOW) + 20
    logged_and_received = {path: (status, results[path]) for path, status in accepted.items()}
    assert logged_and_received == dict.fromkeys(accepted, (200, 200))
    for service in ("nginx", "server"):
        state = slow_stack.inspect(service)["State"]
        assert (state["ExitCode"], state["OOMKilled"]) == (0, False)
    assert_json_lines(slow_stack.log_lines("server"))
