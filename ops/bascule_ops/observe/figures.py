"""Rates and percentiles for a terminal, with their last minutes as bars."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bascule_ops.observe.history import History
from bascule_ops.observe.rates import Rates
from bascule_ops.text.sparkline import sparkline

NONE: Final = "-"


def latency(seconds: float | None) -> str:
    """A call's duration: ``850 µs``, ``12.3 ms``, ``1.20 s``."""
    if seconds is None:
        return NONE
    for factor, unit in ((1e6, "µs"), (1e3, "ms"), (1.0, "s")):
        scaled = seconds * factor
        if scaled < 1000 or unit == "s":
            break
    digits = 0 if scaled >= 100 or unit == "µs" else 1 if scaled >= 10 else 2
    return f"{scaled:.{digits}f} {unit}"


def rate(value: float | None) -> str:
    """Requests a second."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def figures(history: History, width: int) -> RenderableType:
    """Rates and percentiles with their last minutes."""
    now = history.now.total if history.now else None
    table = Table.grid(padding=(0, 2))
    rows: list[tuple[str, list[str], Callable[[Rates], float | None]]] = [
        (
            "requests/s",
            [
                rate(now.requests if now else None),
                f"4xx {rate(now.client_errors if now else None)}",
                f"5xx {rate(now.server_errors if now else None)}",
            ],
            lambda each: each.requests,
        ),
        (
            "latency",
            [
                f"p50 {latency(now.p50 if now else None)}",
                f"p95 {latency(now.p95 if now else None)}",
                f"p99 {latency(now.p99 if now else None)}",
            ],
            lambda each: each.p99,
        ),
        (
            "wait",
            [
                f"p50 {latency(now.wait50 if now else None)}",
                "",
                f"p99 {latency(now.wait99 if now else None)}",
            ],
            lambda each: each.wait99,
        ),
    ]
    for name, values, read in rows:
        cells = [Text(f"{value:<12}", "bold") for value in values]
        bars = sparkline([read(each) for each in history.rates][-max(8, width - 60) :])
        table.add_row(Text(name, "dim"), *cells, Text(bars, "cyan"))
    return table
