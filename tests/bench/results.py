"""What a run found, in memory and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.measure import Figures
from tests.bench.scenarios import Scenario
from tests.bench.spread import Spread, spread


@dataclass(slots=True)
class Results:
    """All figures of a run, by scenario, server and round."""

    rounds: int
    seconds: float
    machine: Mapping[str, str]
    servers: Mapping[str, str]  # name to version
    left_out: Mapping[str, str]  # name to reason
    command: str = ""
    began: str = ""  # UTC, ISO 8601
    took_seconds: float = 0.0
    figures: dict[str, dict[str, list[Figures | None]]] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, scenario: str, server: str, figures: Figures | None) -> None:
        """Keep a round's figures, None for a round that failed."""
        self.figures.setdefault(scenario, {}).setdefault(server, []).append(figures)

    def add_failure(self, scenario: str, server: str, reason: str) -> None:
        """Keep why a server has no figures in a round."""
        self.failures.setdefault(scenario, {})[server] = reason
        self.add(scenario, server, None)

    def series(self, scenario: str, server: str, figure: str) -> list[float | None]:
        """Return one figure of every round; empty where it was not measured at all."""
        rounds = self.figures.get(scenario, {}).get(server, [])
        values = [None if each is None else each.get(figure) for each in rounds]
        return values if any(each is not None for each in values) else []

    def spread(self, scenario: str, server: str, figure: str) -> Spread | None:
        """Return the median and spread of one figure, None where there is none."""
        values = [each for each in self.series(scenario, server, figure) if each is not None]
        return spread(values) if values else None

    def servers_of(self, scenario: str) -> list[str]:
        """Return the servers that have figures in a scenario."""
        cells = self.figures.get(scenario, {})
        return [name for name, rounds in cells.items() if any(each is not None for each in rounds)]

    def as_json(self, scenarios: Mapping[str, Scenario]) -> dict[str, Any]:
        """Return everything in JSON's types."""
        return {
            "command": self.command,
            "began": self.began,
            "took_seconds": round(self.took_seconds, 1),
            "rounds": self.rounds,
            "seconds": self.seconds,
            "machine": dict(self.machine),
            "servers": dict(self.servers),
            "left_out": dict(self.left_out),
            "scenarios": {
                name: {
                    "title": scenarios[name].title,
                    "servers": {server: self._cell(name, server) for server in cells},
                    "failures": self.failures.get(name, {}),
                }
                for name, cells in self.figures.items()
            },
        }

    def _cell(self, scenario: str, server: str) -> dict[str, Any]:
        names: dict[str, None] = {}
        for each in self.figures[scenario][server]:
            names.update(dict.fromkeys(each or {}))
        cell = {}
        for name in names:
            found = self.spread(scenario, server, name)
            if found is not None:
                shortened = {key: _short(value) for key, value in asdict(found).items()}
                values = [_short(value) for value in self.series(scenario, server, name)]
                cell[name] = {**shortened, "rounds": values}
        return cell


def _short(value: float | None) -> float | None:
    """Five digits are more than any of these measurements can claim."""
    return None if value is None else float(f"{value:.5g}")


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON that a diff can show."""
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
