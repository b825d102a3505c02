"""Fast requests among slow ones: what the fast ones have to wait."""

from __future__ import annotations

from typing import Final

from tests.bench import load
from tests.bench.measure import Bench, Figures, started
from tests.bench.peers import Peer
from tests.bench.populations import SLOW_TARGET

# Requests a second of the steady load: on average 1.25 of the 8 threads are in a slow call, so
# that hardly ever all are, and what is left is what the server itself makes the fast ones wait.
STEADY_RATE: Final = 500


def saturated(bench: Bench, peer: Peer) -> Figures:
    """Keep every connection busy: most soon wait for a slow answer, and all threads are taken."""
    return _measure(bench, peer, rate=0)


def steady(bench: Bench, peer: Peer) -> Figures:
    """Send requests at a steady rate that leaves threads free."""
    return _measure(bench, peer, rate=STEADY_RATE)


def _measure(bench: Bench, peer: Peer, rate: int) -> Figures:
    with started(bench, peer, bench.start("mixed")) as server:

        def run(seconds: float, first: int) -> load.Load:
            return load.run(
                *(bench.load, server.address, bench.population("mixed"), seconds),
                rate=rate,
                first=first,
                apart=SLOW_TARGET,
            )

        # Past the first slow calls, from which a server may learn.
        warm_up = run(bench.warm_up, 0)
        return figures(run(bench.seconds, warm_up.sent))


def figures(found: load.Load) -> Figures:
    """Return the figures of the fast requests and of the slow ones.

    Raises:
        LoadError: no fast request was answered.
    """
    if found.requests == found.apart:
        raise load.LoadError("no fast request was answered")
    return {
        "fast_p50_ms": found.p50_us / 1000,
        "fast_p99_ms": found.p99_us / 1000,
        "slow_p99_ms": found.apart_p99_us / 1000,
        "requests_per_second": found.requests_per_second,
        "errors": found.errors,
    }
