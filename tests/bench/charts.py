"""Draws what a run found, as SVG and PNG."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from tests.bench.figures import FIGURES, RISING, best_first
from tests.bench.peers import BASCULE, BASCULE_SINGLE, FLOOR, NGINX
from tests.bench.results import Results
from tests.bench.scenarios import Scenario

OURS: Final = "#b3432b"
PEER: Final = "#7d8ea3"
YARDSTICK: Final = "#c9cfd6"
COLOURS: Final = {BASCULE: OURS, BASCULE_SINGLE: OURS, FLOOR: YARDSTICK, NGINX: YARDSTICK}
COLUMNS: Final = 3

# The same run gives the same bytes: no date, and names that are not random.
mpl.rcParams["svg.hashsalt"] = "bascule"
mpl.rcParams["svg.fonttype"] = "none"
METADATA: Final[dict[str, dict[str, Any]]] = {"svg": {"Date": None}, "png": {}}


def draw(results: Results, scenarios: Mapping[str, Scenario], directory: Path) -> None:
    """Write the charts of what was measured into `directory`."""
    measured = [each for each in scenarios.values() if results.servers_of(each.name)]
    plain = [each for each in measured if each.name in {"traffic", "api"}]
    if plain:
        _save(_grid(results, plain, columns=len(plain)), directory / "traffic")
    if measured:
        _save(_grid(results, measured, columns=COLUMNS), directory / "scenarios")


def _grid(results: Results, scenarios: list[Scenario], columns: int) -> Figure:
    rows = math.ceil(len(scenarios) / columns)
    figure = Figure(figsize=(5.4 * columns, 3.2 * rows), layout="constrained")
    for place, scenario in enumerate(scenarios, start=1):
        _bars(figure.add_subplot(rows, columns, place), results, scenario)
    figure.supxlabel(f"{results.machine['processor']}, Python {results.machine['python']}", size=7)
    return figure


def _bars(axes: Any, results: Results, scenario: Scenario) -> None:
    """Draw one scenario: a bar a server, the best on top, its least and greatest as a line."""
    shown = scenario.shows[0]
    label, text = FIGURES[shown]
    names = best_first(results, scenario)[::-1]
    spreads = [found for name in names if (found := results.spread(scenario.name, name, shown))]
    medians = [each.median for each in spreads]
    lines = (
        [each.median - each.low for each in spreads],
        [each.high - each.median for each in spreads],
    )
    colours = [COLOURS.get(name, PEER) for name in names]
    bars = axes.barh(names, medians, xerr=lines, color=colours, ecolor="#333333", capsize=2)
    # To the right of the line's end, so that the two do not cross.
    for bar, each in zip(bars, spreads, strict=True):
        middle = bar.get_y() + bar.get_height() / 2
        axes.annotate(
            text(each.median),
            (max(each.high, 0), middle),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            size=7,
        )
    axes.set_title(scenario.title, size=9, loc="left", wrap=True)
    axes.set_xlabel(f"{label} ({'more' if shown in RISING else 'less'} is better)", size=8)
    axes.tick_params(labelsize=8)
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: Figure, path: Path) -> None:
    for kind, metadata in METADATA.items():
        figure.savefig(path.with_suffix(f".{kind}"), metadata=metadata, dpi=110)
