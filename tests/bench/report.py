"""What is seen at the terminal: a progress bar while it runs, and tables at the end."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Sequence
from typing import Final, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tests.bench.aims import Verdict
from tests.bench.figures import FIGURES, best_first
from tests.bench.peers import BASCULE, BEFORE, FLOOR
from tests.bench.results import Results
from tests.bench.scenarios import Scenario
from tests.bench.spread import paired_ratio


class ProgressBar:
    """Shows how far a run is; a `runner.Watcher`, to be used in a ``with``."""

    def __init__(self, console: Console, rounds: int, measurements: int) -> None:
        self._rounds = rounds
        # Drawn once a second, because drawing takes time from the load.
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            refresh_per_second=1,
        )
        self._task = self._bar.add_task("", total=measurements)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begins(self, number: int, scenario: Scenario, server: str) -> None:
        """Show what is measured now."""
        text = f"round {number + 1}/{self._rounds} {scenario.name}: {server}"
        self._bar.update(self._task, description=text)

    def failed(self, scenario: Scenario, server: str, reason: str) -> None:
        """Say so above the bar."""
        self._bar.console.print(
            f"[bold red]FAILED[/] {server} in {scenario.name}: {escape(reason)}"
        )

    def ended(self) -> None:
        """Move the bar on."""
        self._bar.advance(self._task)


def table(results: Results, scenario: Scenario) -> Table:
    """Return one scenario's figures, the best server first."""
    shown = Table(title=escape(scenario.title), title_justify="left", min_width=72)
    shown.add_column("server")
    figures = (*scenario.shows, "errors")
    for figure in figures:
        shown.add_column(FIGURES[figure][0], justify="right")
    first = scenario.shows[0]
    for server in best_first(results, scenario):
        cells = [
            _cell(results, scenario.name, server, figure, figure == first) for figure in figures
        ]
        shown.add_row(server, *cells, style="bold" if server.startswith(BASCULE) else "")
    for server, reason in results.failures.get(scenario.name, {}).items():
        shown.add_row(server, f"[red]failed: {escape(reason[:200])}")
    return shown


# What users meet, and whom they would otherwise choose: as much as a terminal's width holds.
SUMMED: Final = ("traffic", "api", "shipped", "flask", "django", "hello")
BESIDE: Final = (BEFORE, "bjoern", "fastwsgi", "granian", "gunicorn-gthread", FLOOR)


def summary(results: Results) -> Table | None:
    """Return the processor time of servers with what users meet, and our own as a ratio to it.

    The ratio is the median of those within each round. None where there is nothing to compare.
    """
    compared = [name for name in SUMMED if results.spread(name, BASCULE, "cpu_us")]
    measured = {server for name in compared for server in results.servers_of(name)}
    servers = [name for name in BESIDE if name in measured]
    if not servers:
        return None
    shown = Table(title=f"CPU µs a request, and {BASCULE}'s as a ratio to it", title_justify="left")
    shown.add_column("")
    for server in (BASCULE, *servers):
        shown.add_column(server, justify="right")
    for name in compared:
        ours = results.series(name, BASCULE, "cpu_us")
        cells = [_cell(results, name, BASCULE, "cpu_us", with_spread=False)]
        for server in servers:
            text = _cell(results, name, server, "cpu_us", with_spread=False)
            if theirs := results.series(name, server, "cpu_us"):
                with contextlib.suppress(statistics.StatisticsError):  # no round that both have
                    text += f" ({paired_ratio(ours, theirs):.2f})"
            cells.append(text)
        shown.add_row(name, *cells)
    return shown


def _cell(results: Results, scenario: str, server: str, figure: str, with_spread: bool) -> str:
    found = results.spread(scenario, server, figure)
    if found is None:
        return ""
    text = FIGURES[figure][1]
    if figure == "errors" and found.high:
        return f"[red]{text(found.high)}"
    if with_spread and found.low != found.high:
        return f"{text(found.median)} ({text(found.low)}–{text(found.high)})"
    return text(found.median)


def aims_table(verdicts: Sequence[Verdict]) -> Table:
    """Return the aims, each with what was measured and whether that is enough."""
    shown = Table(title="Aims", title_justify="left")
    for column in ("what", "aim", "measured", "against", ""):
        shown.add_column(column, justify="right" if column == "measured" else "left")
    words = {True: "[green]met", False: "[bold red]NOT MET", None: "[yellow]not measured"}
    for verdict in verdicts:
        aim, measured = verdict.aim, verdict.measured
        shown.add_row(
            aim.subject,
            f"{aim.bound} {aim.limit:g}{aim.unit}",
            ""
            if measured is None
            else f"{measured:,.3g}"
            if measured < 100
            else f"{measured:,.0f}",
            verdict.against,
            words[verdict.is_met],
        )
    return shown


def _three_digits(value: float) -> str:
    return f"{value:,.3g}" if value < 100 else f"{value:,.0f}"


def show(
    console: Console,
    results: Results,
    scenarios: Sequence[Scenario],
    verdicts: Sequence[Verdict],
) -> None:
    """Print every table, the machine, and loudly who is missing."""
    for scenario in scenarios:
        if scenario.name in results.figures:
            console.print(table(results, scenario))
    if compared := summary(results):
        console.print(compared)
    if verdicts:
        console.print(aims_table(verdicts))
    for name, value in results.machine.items():
        console.print(f"{name}: {value}", highlight=False, markup=False)
    versions = ", ".join(f"{name} {version}".strip() for name, version in results.servers.items())
    console.print(f"servers: {versions}", highlight=False, markup=False)
    warn_of_missing(console, results)


def warn_of_missing(console: Console, results: Results) -> None:
    """Say who was left out and why, so that nobody takes silence for a result."""
    for name, reason in results.left_out.items():
        console.print(f"[bold red]LEFT OUT[/] {name}: {escape(reason)}")
    for scenario, failures in results.failures.items():
        for name, reason in failures.items():
            console.print(f"[bold red]FAILED[/] {name} in {scenario}: {escape(reason)}")
