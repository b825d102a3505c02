"""The figures' names, how they are written, and which way is better."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.bench.results import Results
from tests.bench.scenarios import Scenario

ONE_DIGIT: Callable[[float], str] = "{:,.1f}".format
TWO_DIGITS: Callable[[float], str] = "{:,.2f}".format
WHOLE: Callable[[float], str] = "{:,.0f}".format

FIGURES: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "cpu_us": ("CPU µs/request", ONE_DIGIT),
    "cpu_us_alone": ("CPU µs without", ONE_DIGIT),
    "nginx_cpu_us": ("nginx's CPU µs", ONE_DIGIT),
    "supervisord_cpu_us": ("supervisord's", ONE_DIGIT),
    "added_us": ("µs added", ONE_DIGIT),
    "floor_cpu_us": ("floor's CPU µs", ONE_DIGIT),
    "p99_steady_ms": ("p99 ms at 70 %", TWO_DIGITS),
    "requests_per_second": ("requests/s", WHOLE),
    "p50_ms": ("p50 ms", TWO_DIGITS),
    "p99_ms": ("p99 ms", TWO_DIGITS),
    "p99_alone_ms": ("p99 ms without", TWO_DIGITS),
    "fast_p50_ms": ("fast p50 ms", TWO_DIGITS),
    "fast_p99_ms": ("fast p99 ms", TWO_DIGITS),
    "slow_p99_ms": ("slow p99 ms", TWO_DIGITS),
    "mib_per_second": ("MiB/s", WHOLE),
    "of_nginx": ("× nginx's", TWO_DIGITS),
    "cpu_us_per_mib": ("CPU µs/MiB", WHOLE),
    "up_growth_mib": ("MiB, up", ONE_DIGIT),
    "down_growth_mib": ("MiB, down", ONE_DIGIT),
    "kib_per_connection": ("KiB each", TWO_DIGITS),
    "worker_pss_mib": ("worker MiB", ONE_DIGIT),
    "all_pss_mib": ("all MiB", ONE_DIGIT),
    "errors": ("errors", WHOLE),
}
RISING = ("requests_per_second", "mib_per_second")  # more is better


def best_first(results: Results, scenario: Scenario) -> list[str]:
    """Return a scenario's servers in the order of its first figure."""
    first = scenario.shows[0]

    def key(server: str) -> float:
        found = results.spread(scenario.name, server, first)
        return 0.0 if found is None else found.median

    return sorted(results.servers_of(scenario.name), key=key, reverse=first in RISING)
