"""Exceptions that come at any moment, in any thread, of any class: who is not concerned is served."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.harness.client import MalformedResponse
from tests.harness.log import lines
from tests.harness.servers import ServerProcess, bascule_command, running

from .requests import get

FLAGS = ("--access-logformat", "json", "--keep-alive", "0.2")
THREADS = pytest.mark.parametrize("threads", ["1", "4"])
STORM = 1.0  # seconds


def answers(server: ServerProcess, target: str = "/") -> bool:
    with contextlib.suppress(OSError, MalformedResponse), server.client() as client:
        client.send(get(target))
        response = client.read()
        return response is not None and response.body == b"well"
    return False


def serves_well(server: ServerProcess, threads: int) -> None:
    """See that every place is there, that ticks go on, and that it stops as it should."""
    assert server.is_running()
    with ThreadPoolExecutor(4 * threads) as pool:
        assert all(pool.map(lambda _: answers(server, "/slow"), range(8 * threads)))
    with server.client() as idle:
        assert idle.read() is None
    assert server.stop() == 0


def told(server: ServerProcess) -> list[dict]:
    return [each for each in lines(server.err) if each["level"] in ("error", "critical")]


@THREADS
def test_a_signal_s_handler_that_raises_again_and_again_ends_nothing(threads: str) -> None:
    with running(bascule_command(*FLAGS, "--threads", threads), "raises_anywhere") as server:
        answers(server, f"/alarms?{STORM}")
        end = time.monotonic() + STORM
        results = []
        while time.monotonic() < end:
            results.append(answers(server))
        # With one thread it may be the call that the handler interrupts; else it never is.
        assert all(results) if threads == "4" else any(results)
        serves_well(server, int(threads))
        # Where the main thread only waits, it may notice as late as at its end.
        assert threads == "4" or "Late: too late" in told(server)[0]["exception"]


def test_exceptions_that_are_raised_in_the_server_s_threads_end_nothing() -> None:
    with running(bascule_command(*FLAGS, "--threads", "4"), "raises_anywhere") as server:
        answers(server, f"/threads?{STORM}")
        end = time.monotonic() + STORM
        while time.monotonic() < end:
            answers(server)
            answers(server, "/slow")
        serves_well(server, 4)
        assert "Late" in told(server)[0]["exception"]


@THREADS
@pytest.mark.parametrize("way", ["finalizers", "hooks", "trace"])
def test_what_is_raised_where_nobody_can_catch_it_ends_nothing(way: str, threads: str) -> None:
    with running(bascule_command(*FLAGS, "--threads", threads), "raises_anywhere") as server:
        for _ in range(5):
            answers(server, f"/{way}")
        serves_well(server, int(threads))


@THREADS
@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("close", "Late: in close()"),
        ("iter", "Late: too late"),
        ("str", "Unspeakable"),
        ("base", "Late: in the call"),
        ("generator", "GeneratorExit"),
    ],
)
def test_whatever_class_is_raised_is_told(way: str, reason: str, threads: str) -> None:
    with running(bascule_command(*FLAGS, "--threads", threads), "raises_anywhere") as server:
        for _ in range(5):
            answers(server, f"/{way}")
        serves_well(server, int(threads))
        assert [each["event"] for each in told(server)] == ["application_error"] * 5
        assert reason in told(server)[0]["message"]


def test_a_call_in_the_only_thread_can_be_interrupted_by_an_alarm() -> None:
    with running(bascule_command(*FLAGS, "--threads", "1"), "raises_anywhere") as server:
        with server.client() as client:
            assert client.request(get("/alarm")).status == 500
        assert "Late: too late" in told(server)[0]["message"]
        serves_well(server, 1)
