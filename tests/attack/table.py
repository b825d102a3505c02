"""What was found, as JSON and as the table of docs/hardening.md."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.attack.measure import Figures
from tests.attack.plans import ATTACKS
from tests.bench.spread import paired_ratio

BEGIN: Final = "<!-- attacks: written by tests/attack/run -->"
END: Final = "<!-- end of attacks -->"
# Processes that run, on average of the last minute, on a machine that is at rest.
IDLE_LOAD: Final = 0.5
BUSY: Final = (
    "**The machine was busy with other work meanwhile:** times are longer than they would be, "
    "above all where an attack takes processor time."
)
# A client that waited for so long, in milliseconds, was not answered.
GAVE_UP_MS: Final = 2000.0


@dataclass(slots=True)
class Results:
    """All rounds of a run, by attack and server; a round that failed is not among them."""

    command: str
    rounds: int
    seconds: float
    machine: Mapping[str, str]
    servers: Mapping[str, str]  # name to version
    began: str = ""  # UTC, ISO 8601
    floor_p99_ms: list[float] = field(default_factory=list)
    figures: dict[str, dict[str, list[Figures]]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def add(self, attack: str, server: str, figures: Figures) -> None:
        """Keep one round."""
        self.figures.setdefault(attack, {}).setdefault(server, []).append(figures)

    def median(self, attack: str, server: str, figure: str) -> float:
        """Return the median of a figure over the rounds."""
        values = [each[figure] for each in self.figures[attack][server]]
        known = [each for each in values if not math.isnan(each)]
        return statistics.median(known) if known else math.nan

    def ratio(self, attack: str, server: str, figure: str) -> float:
        """Return the median of the rounds' ratios of a figure beside the attack and alone."""
        rounds = self.figures[attack][server]
        beside = [each[figure] for each in rounds]
        return paired_ratio(beside, [each[f"{figure}_alone"] for each in rounds])

    def as_json(self) -> dict[str, Any]:
        """Return everything in JSON's types."""
        return {
            "command": self.command,
            "began": self.began,
            "rounds": self.rounds,
            "seconds": self.seconds,
            "machine": dict(self.machine),
            "servers": dict(self.servers),
            "floor_p99_ms": [round(each, 2) for each in self.floor_p99_ms],
            "failures": self.failures,
            "attacks": {
                attack: {
                    "title": ATTACKS[attack].title,
                    "servers": {
                        server: [
                            {
                                name: None if math.isnan(value) else round(value, 3)
                                for name, value in each.items()
                            }
                            for each in rounds
                        ]
                        for server, rounds in servers.items()
                    },
                }
                for attack, servers in self.figures.items()
            },
        }


def rows(results: Results) -> list[list[str]]:
    """Return the table's cells, its heads first."""
    found = [
        [
            *("attack", "server", "p99 alone, ms", "p99 beside, ms", "×", "p99 new, ms", "×"),
            *("unanswered", "memory, MiB", "CPU", "after"),
        ]
    ]
    for attack, servers in results.figures.items():
        found += [_row(results, attack, server) for server in servers]
    return found


def _row(results: Results, attack: str, server: str) -> list[str]:
    def median(figure: str) -> float:
        return results.median(attack, server, figure)

    asked = median("kept_asked") + median("new_asked")
    unanswered = (median("kept_failed") + median("new_failed")) / asked
    rounds = results.figures[attack][server]
    return [
        attack,
        server,
        f"{median('kept_p99_ms_alone'):.1f}",
        _waited(median("kept_p99_ms")),
        _times(results.ratio(attack, server, "kept_p99_ms"), median("kept_p99_ms")),
        _waited(median("new_p99_ms")),
        _times(results.ratio(attack, server, "new_p99_ms"), median("new_p99_ms")),
        f"{unanswered:.0%}",
        f"{median('before_mib'):.0f} → {_mebibytes(median('peak_mib'))}",
        f"{median('cpu'):.0%}",
        _aftermath(rounds),
    ]


def _mebibytes(number: float) -> str:
    return "–" if math.isnan(number) else f"{number:.0f}"


def _waited(milliseconds: float) -> str:
    return "none" if milliseconds >= GAVE_UP_MS else f"{milliseconds:.1f}"


def _times(ratio: float, milliseconds: float) -> str:
    return "–" if milliseconds >= GAVE_UP_MS else f"{ratio:.1f}"


def _aftermath(rounds: Sequence[Figures]) -> str:
    if not all(each["recovered"] for each in rounds):
        return "does not serve"
    return "serves" if all(each["lived"] for each in rounds) else "process ended, serves"


def markdown(results: Results) -> str:
    """Return the section's generated part."""
    heads, *cells = rows(results)
    lines = [_line(heads), _line(["---"] * 2 + ["--:"] * (len(heads) - 3) + ["---"])]
    lines += [_line(each) for each in cells]
    versions = ", ".join(f"{name} {version}".strip() for name, version in results.servers.items())
    machine = results.machine
    busy = float(machine["load before"].split()[0]) > IDLE_LOAD
    floor = statistics.median(results.floor_p99_ms)
    return "\n".join(
        [
            f"`{results.command}`, {results.began}, {results.rounds} rounds of "
            f"{results.seconds:g} s, medians. {versions}.",
            f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, Python "
            f"{machine['python'].partition(' ')[0]}, commit {machine['checkout']}; load before: "
            f"{machine['load before']}.",
            f"The same client's p99 with the floor in C, which is not attacked: {floor:.1f} ms.",
            *([BUSY] if busy else []),
            "",
            *lines,
        ]
    )


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def update(page: Path, results: Results) -> None:
    """Put the generated part into a page, between its marks.

    Raises:
        ValueError: the page has not both marks.
    """
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page} has not the marks {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n{markdown(results)}\n{END}{after}")
