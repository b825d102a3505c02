"""bandit's checks (ruff's rules S) are on, and who silences one says why."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("server", "middleware", "app", "ops")
SILENCED = re.compile(r"# noqa:[^#(]*\bS\d{3}\b(?P<reason>.*)")


def test_the_checks_are_on_and_off_only_where_the_page_for_contributors_says() -> None:
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert "S" in lint["select"]
    off = {
        place: silent
        for place, rules in lint["per-file-ignores"].items()
        if (silent := {each for each in rules if each.startswith("S") and each[:3] != "SIM"})
    }
    assert off == {"tests/**": {"S"}, "ops/**": {"S603", "S607"}}
    assert not [rule for rule in lint["ignore"] if re.fullmatch(r"S\d*", rule)]


def test_every_silenced_check_says_why() -> None:
    silent = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for line in path.read_text().splitlines()
        if (found := SILENCED.search(line)) and not re.search(r"\w", found["reason"])
    ]
    assert silent == []
