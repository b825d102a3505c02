"""Goes through the rounds: in each, every scenario; in each of those, every server in turn."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from tests.bench.load import LoadError
from tests.bench.measure import Bench
from tests.bench.native import MissingToolError
from tests.bench.peers import PEERS, Peer
from tests.bench.processes import Server, StartError
from tests.bench.results import Results
from tests.bench.scenarios import Scenario
from tests.harness.fetch import NO_RESPONSE

OVERHEAD_SECONDS = 0.4  # to start a server, await it and end it

FAILURES = (
    StartError,
    LoadError,
    MissingToolError,
    *NO_RESPONSE,
    subprocess.TimeoutExpired,
)


class Watcher(Protocol):
    """Who wants to know how far a run is."""

    def begins(self, number: int, scenario: Scenario, server: str) -> None:
        """Note that a measurement of round `number` begins."""

    def failed(self, scenario: Scenario, server: str, reason: str) -> None:
        """Note that it failed; the others go on."""

    def ended(self) -> None:
        """Note that it ended, one way or the other."""


def rotated(names: Sequence[str], turn: int) -> list[str]:
    """Return the names, a different one first each turn: nobody always goes first or last."""
    first = turn % len(names) if names else 0
    return [*names[first:], *names[:first]]


def taking_part(scenario: Scenario, servers: Sequence[str]) -> list[str]:
    """Return those of `servers` that a scenario is for."""
    return [name for name in servers if name in scenario.servers]


def expected(
    scenarios: Sequence[Scenario], servers: Sequence[str], bench: Bench, rounds: int
) -> tuple[int, float]:
    """Return how many measurements a run has, and about how many seconds it takes."""
    count, seconds = 0, 0.0
    for scenario in scenarios:
        times = rounds_of(scenario, rounds) * len(taking_part(scenario, servers))
        each = bench.seconds * scenario.lasts + bench.warm_up + OVERHEAD_SECONDS
        count += times
        seconds += times * (each + scenario.extra_seconds)
    return count, seconds


def rounds_of(scenario: Scenario, rounds: int) -> int:
    """Return how many of the rounds a scenario takes part in."""
    return min(rounds, scenario.most_rounds or rounds)


def check(peer: Peer, bench: Bench) -> None:
    """Start a server once and have it answer.

    Raises:
        StartError: it does not start.
        OSError: its program is missing.
    """
    wanted = bench.start("hello")
    with Server(peer.command(wanted), wanted.address, bench.log(peer)) as server:
        server.wait_until_it_answers()


def run(scenarios: Sequence[Scenario], bench: Bench, results: Results, watcher: Watcher) -> None:
    """Measure everything, into `results`."""
    for number in range(results.rounds):
        for scenario in scenarios:
            if number >= rounds_of(scenario, results.rounds):
                continue
            for name in rotated(taking_part(scenario, list(results.servers)), number):
                watcher.begins(number, scenario, name)
                longer = replace(bench, seconds=bench.seconds * scenario.lasts)
                try:
                    figures = scenario.measure(longer, PEERS[name])
                except FAILURES as error:
                    reason = str(error) or type(error).__name__
                    results.add_failure(scenario.name, name, reason)
                    watcher.failed(scenario, name, reason)
                else:
                    results.add(scenario.name, name, figures)
                watcher.ended()
