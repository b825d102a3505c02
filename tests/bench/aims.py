"""What the server is to reach beside its peers, and whether a run shows that it does."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.bench.peers import BASCULE, BEFORE, PEERS
from tests.bench.results import Results
from tests.bench.spread import paired_ratio

# By so much two runs of the same code may differ, as the median of a few rounds.
NOISE: Final = 0.05
OURS: Final = (BASCULE, BEFORE)
GUNICORNS: Final = ("gunicorn-gthread", "gunicorn-sync")
THREADED: Final = tuple(
    peer.name for peer in PEERS.values() if peer.is_threaded and peer.name not in OURS
)
APPLICATION_PEERS: Final = tuple(
    peer.name for peer in PEERS.values() if peer.serves_applications and peer.distribution
)

Finding = tuple[float, str]  # what was measured, and against whom
AT_MOST: Final = "≤"
AT_LEAST: Final = "≥"


@dataclass(frozen=True, slots=True)
class Aim:
    """A bound on something measured.

    `find` returns None where a run lacks what it needs.
    """

    scenario: str  # that has our own figure
    subject: str
    bound: str  # AT_MOST or AT_LEAST
    limit: float
    unit: str
    find: Callable[[Results], Finding | None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a run stands to an aim; `is_met` is None where it was not measured."""

    aim: Aim
    measured: float | None
    against: str
    is_met: bool | None

    def as_json(self) -> dict[str, Any]:
        """Return it in JSON's types."""
        return {
            "subject": self.aim.subject,
            "aim": f"{self.aim.bound} {self.aim.limit:g}{self.aim.unit}",
            "measured": None if self.measured is None else float(f"{self.measured:.4g}"),
            "against": self.against,
            "met": self.is_met,
        }


def best_of(
    results: Results, scenario: str, figure: str, servers: Sequence[str], bound: str
) -> str | None:
    """Return the server that is hardest to match; None where none of them was measured."""
    medians = {
        server: found.median
        for server in servers
        if (found := results.spread(scenario, server, figure)) is not None
    }
    if not medians:
        return None
    hardest = min if bound == AT_MOST else max
    return hardest(medians, key=lambda server: medians[server])


def _ratio(
    scenario: str,
    figure: str,
    servers: Sequence[str],
    bound: str,
    *,
    their_scenario: str = "",
) -> Callable[[Results], Finding | None]:
    """Compare our figure with that of the best of some servers, round by round."""

    def find(results: Results) -> Finding | None:
        theirs_from = their_scenario or scenario
        server = best_of(results, theirs_from, figure, servers, bound)
        ours = results.series(scenario, BASCULE, figure)
        if server is None or not ours:
            return None
        try:
            return paired_ratio(ours, results.series(theirs_from, server, figure)), server
        except statistics.StatisticsError:
            return None

    return find


def _value(scenario: str, figure: str) -> Callable[[Results], Finding | None]:
    def find(results: Results) -> Finding | None:
        found = results.spread(scenario, BASCULE, figure)
        return None if found is None else (found.median, "")

    return find


def _beside_idle(results: Results) -> Finding | None:
    beside = results.series("idle", BASCULE, "p99_ms")
    alone = results.series("idle", BASCULE, "p99_alone_ms")
    return (paired_ratio(beside, alone), "itself without them") if beside and alone else None


def _cpu_aims(scenario: str, title: str, *bounds: tuple[str, float]) -> list[Aim]:
    return [
        Aim(
            scenario,
            f"{title}, CPU a request",
            AT_MOST,
            limit,
            f" × {server}",
            _ratio(scenario, "cpu_us", (server,), AT_MOST),
        )
        for server, limit in bounds
    ]


def _own_aim(scenario: str, title: str, limit: float, other: str, unit: str) -> Aim:
    """Bound what we take for one scenario by what we take for another."""
    find = _ratio(scenario, "cpu_us", (BASCULE,), AT_MOST, their_scenario=other)
    return Aim(scenario, title, AT_MOST, limit, unit, find)


def _before_aim(scenario: str, title: str, figure: str, bound: str) -> Aim:
    """Have nothing become worse than it was in an earlier commit (``--before``)."""
    limit = 1 + NOISE if bound == AT_MOST else 1 - NOISE
    find = _ratio(scenario, figure, (BEFORE,), bound)
    return Aim(scenario, title, bound, limit, " × before", find)


def _rate_aim(scenario: str, title: str, limit: float, whom: str, servers: Sequence[str]) -> Aim:
    find = _ratio(scenario, "requests_per_second", servers, AT_LEAST)
    return Aim(scenario, title, AT_LEAST, limit, f" × {whom}", find)


def _framework_aims(scenario: str, title: str) -> list[Aim]:
    steady = _ratio(scenario, "p99_steady_ms", APPLICATION_PEERS, AT_MOST)
    return [
        Aim(
            scenario,
            f"{title}: what the server adds",
            AT_MOST,
            18,
            " µs",
            _value(scenario, "added_us"),
        ),
        Aim(scenario, f"{title}: p99 at 70 % load", AT_MOST, 1.0, " × best peer", steady),
    ]


AIMS: Final = (
    *_cpu_aims(
        *("traffic", "traffic"), ("bjoern", 1.40), ("granian", 1.00), ("gunicorn-gthread", 0.13)
    ),
    *_cpu_aims(
        *("api", "clients of an API"),
        *(("bjoern", 1.60), ("granian", 1.25), ("gunicorn-gthread", 0.16)),
    ),
    _own_aim("traffic", "traffic, CPU a request", 1.60, "hello", " × one head again and again"),
    _own_aim("shipped", "shipped, CPU a request", 1.60, "traffic", " × traffic with all off"),
    *_cpu_aims("shipped", "shipped", ("gunicorn-gthread", 0.20)),
    Aim(
        *("stack", "supervisord, CPU a request", AT_MOST, 0.5, " µs"),
        _value("stack", "supervisord_cpu_us"),
    ),
    _rate_aim("stack", "whole stack, requests/s", 1.0, "nginx + granian", ("granian",)),
    _rate_aim("stack", "whole stack, requests/s", 4.0, "nginx + gunicorn", ("gunicorn-gthread",)),
    Aim(
        *("stack", "whole stack, p99", AT_MOST, 0.5, " × the better of both"),
        _ratio("stack", "p99_ms", ("granian", "gunicorn-gthread"), AT_MOST),
    ),
    *_framework_aims("flask", "Flask"),
    *_framework_aims("django", "Django"),
    _rate_aim("connections", "new connections, requests/s", 1.0, "best peer", APPLICATION_PEERS),
    _rate_aim("page", "64 KiB body, requests/s", 1.0, "granian", ("granian",)),
    Aim(
        "sleep",
        "10 ms sleep, 8 threads",
        AT_LEAST,
        770,
        " requests/s",
        _value("sleep", "requests_per_second"),
    ),
    Aim(
        "mixed",
        "mixed, p99 of the fast",
        AT_MOST,
        0.5,
        " × best threaded peer",
        _ratio("mixed", "fast_p99_ms", THREADED, AT_MOST),
    ),
    Aim(
        "idle",
        "10,000 idle connections, memory of each",
        AT_MOST,
        4,
        " KiB",
        _value("idle", "kib_per_connection"),
    ),
    Aim("idle", "hello beside them, p99", AT_MOST, 1.20, " × without", _beside_idle),
    Aim("large", "1 GiB up, memory grows by", AT_MOST, 8, " MiB", _value("large", "up_growth_mib")),
    Aim(
        "large",
        "1 GiB down, memory grows by",
        AT_MOST,
        8,
        " MiB",
        _value("large", "down_growth_mib"),
    ),
    Aim(
        "download",
        "a file down, bytes/s",
        AT_LEAST,
        0.9,
        " × nginx's, in turns",
        _value("download", "of_nginx"),
    ),
    Aim(
        "memory",
        "memory of a worker (PSS)",
        AT_MOST,
        0.7,
        " × gunicorn's",
        _ratio("memory", "worker_pss_mib", GUNICORNS, AT_MOST),
    ),
    _before_aim("connections", "new connections, requests/s", "requests_per_second", AT_LEAST),
    _before_aim("page", "64 KiB body, requests/s", "requests_per_second", AT_LEAST),
    _before_aim("sleep", "10 ms sleep, requests/s", "requests_per_second", AT_LEAST),
    _before_aim("mixed", "mixed, p99 of the fast", "fast_p99_ms", AT_MOST),
    _before_aim("download", "a file down, bytes/s", "mib_per_second", AT_LEAST),
    _before_aim("idle", "idle connection, memory", "kib_per_connection", AT_MOST),
    _before_aim("memory", "memory of a worker", "worker_pss_mib", AT_MOST),
    *_cpu_aims("hello", "hello", ("bjoern", 1.30)),
)


def judge(results: Results, scenarios: Sequence[str]) -> list[Verdict]:
    """Return the verdict on every aim that some scenarios are to show."""
    return [_judge(results, aim) for aim in AIMS if aim.scenario in scenarios]


def _judge(results: Results, aim: Aim) -> Verdict:
    found = aim.find(results)
    if found is None:
        return Verdict(aim, None, "", None)
    measured, against = found
    is_met = measured <= aim.limit if aim.bound == AT_MOST else measured >= aim.limit
    return Verdict(aim, measured, against, is_met)
