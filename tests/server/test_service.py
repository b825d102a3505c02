"""What all connections share: who is told of a request that was served, and that no more follow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from bascule.config import Config
from bascule.engine.connection import NOT_CALLED
from bascule.engine.crew import Crew
from bascule.engine.loop import Loop
from bascule.engine.service import NEVER, Service
from bascule.told.access_log import AccessLog, Refusal
from bascule.told.counters import Counters
from bascule.told.metrics import private

REFUSED = Refusal(None, {}, 400)


class Client:
    """A connection that notes nothing but whether it persists."""

    deadline = NEVER
    waits_since = NEVER
    is_idle = False
    request = None

    def __init__(self) -> None:
        self.persists = True

    def on_deadline(self) -> None:
        raise AssertionError("no deadline has passed")

    def let_go(self) -> None:
        raise AssertionError("nothing is forked")

    def close(self) -> None:
        raise AssertionError("a request is finished first")


class Watched:
    """Makes services, and notes the numbers of the requests that they tell of."""

    def __init__(self, stack: ExitStack, log: Path) -> None:
        self._stack = stack
        self._log = log
        self.counts: list[int] = []
        self.emptied = 0

    def service(
        self, *, max_requests: int = 0, logs: bool = False, counts: bool = False
    ) -> Service:
        loop = Loop(600.0)
        self._stack.callback(loop.close)
        config = Config(application="fake", max_requests=max_requests)
        return Service(
            config=config,
            application=lambda _environ, _start_response: [],
            loop=loop,
            crew=Crew(1, 0, loop.poll, lambda _call: None),
            access_log=AccessLog(str(self._log), "combined", "") if logs else None,
            counters=Counters(private()) if counts else None,
            on_served=self.counts.append,
            on_empty=self._on_empty,
        )

    def _on_empty(self) -> None:
        self.emptied += 1


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with ExitStack() as stack:
        yield Watched(stack, tmp_path / "access.log")


@pytest.mark.parametrize("max_requests", [0, 5])
@pytest.mark.parametrize("logs", [False, True])
def test_a_request_is_logged_where_there_is_a_log_and_counted_where_it_may_be_the_last(
    watched: Watched, *, logs: bool, max_requests: int
) -> None:
    service = watched.service(max_requests=max_requests, logs=logs)
    for _ in range(3):
        service.served(REFUSED, 0, 0.0, NOT_CALLED)
    assert watched.counts == ([1, 2, 3] if max_requests else [])
    if service.access_log:
        assert len(service.access_log.waiting) == 3


def test_a_request_is_observed_where_anybody_wants_to_know_of_it(watched: Watched) -> None:
    found = {
        (logs, counts, most): watched.service(max_requests=most, logs=logs, counts=counts)
        for logs in (False, True)
        for counts in (False, True)
        for most in (0, 5)
    }
    for (logs, counts, most), service in found.items():
        assert service.is_observed == (logs or counts or most > 0)


def test_no_connection_persists_in_a_service_that_drains(watched: Watched) -> None:
    service = watched.service()
    clients = [Client(), Client()]
    service.connections.update(clients)
    service.drain()
    assert service.draining
    assert not any(each.persists for each in clients)
    for each in clients:
        assert watched.emptied == 0
        service.forget(each)
    assert watched.emptied == 1
