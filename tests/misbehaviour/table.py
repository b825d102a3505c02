"""The table of docs/misbehaviour.md: what each application does, and what each server bore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.misbehaviour.cases import Case
from tests.misbehaviour.drive import ROOT, Verdict

PAGE: Final = ROOT / "docs" / "misbehaviour.md"
BEGIN: Final = "<!-- written by tests/misbehaviour/run --table -->"
END: Final = "<!-- end of what is written -->"


def words(case: Case, verdict: Verdict) -> str:
    """Return a verdict in words."""
    if verdict.faults:
        return "; ".join(verdict.faults)
    return "replaced" if case.ends_worker and verdict.ended else "bears it"


def _report(case: Case) -> str:
    if not case.report:
        return ""
    repository, _, number = case.report.partition("#")
    return f"[{repository.partition('/')[2]} #{number}](https://github.com/{repository}/issues/{number})"


def rows(cases: Sequence[Case], found: Mapping[str, Mapping[str, Verdict]]) -> list[str]:
    """Return the table's lines: a summary first, then a line for each application."""
    borne = {
        server: sum(not verdict.faults for verdict in verdicts.values())
        for server, verdicts in found.items()
    }
    counts = " | ".join(f"{borne[server]} of {len(cases)}" for server in found)
    lines = [
        f"| application | {' | '.join(found)} |",
        f"|---|{'---|' * len(found)}",
        f"| **all** | {counts} |",
    ]
    for case in cases:
        cells = " | ".join(words(case, found[server][case.name]) for server in found)
        about = " ".join(part for part in (f"`{case.name}`: {case.title}", _report(case)) if part)
        lines.append(f"| {about} | {cells} |")
    return lines


def write(page: Path, cases: Sequence[Case], found: Mapping[str, Mapping[str, Verdict]]) -> None:
    """Put the table where the page has one."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "\n".join(rows(cases, found))
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")
