"""tests/attack/run: what it tells of what it found, and one short run of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.attack import plans, table

ROOT = Path(__file__).parents[2]
INSTALL_LIMIT = 600  # seconds; the first of these tests installs what tests/bench/run needs
MACHINE = {
    "processor": "A fast one",
    "cores": "2",
    "system": "Debian",
    "python": "3.11.2 (main)",
    "checkout": "abc",
    "load before": "0.1 0.1 0.1",
}


def figures(p99_ms: float = 3.0, peak_mib: float = 20.0) -> dict[str, float]:
    found = {"cpu": 0.25, "before_mib": 17.0, "peak_mib": peak_mib, "recovered": 1.0, "lived": 1.0}
    for kind in ("kept", "new"):
        found |= {f"{kind}_p99_ms": p99_ms, f"{kind}_p99_ms_alone": 2.0}
        found |= {f"{kind}_asked": 100.0, f"{kind}_failed": 10.0 * (p99_ms >= 2000)}
    return found


def results(*rounds: dict[str, float]) -> table.Results:
    found = table.Results("tests/attack/run", len(rounds), 1.0, MACHINE, {"bascule": ""}, "2026")
    found.floor_p99_ms.append(0.3)
    for each in rounds:
        found.add("flood", "bascule", each)
    return found


def test_a_row_has_medians_and_the_ratio_of_each_round() -> None:
    text = table.markdown(results(figures(3.0), figures(4.0), figures(9.0)))
    row = "| flood | bascule | 2.0 | 4.0 | 2.0 | 4.0 | 2.0 | 0% | 17 → 20 | 25% | serves |"
    assert row in text
    assert "A fast one" in text


@pytest.mark.parametrize(("load", "is_told"), [("0.3 5 5", False), ("3.0 0 0", True)])
def test_a_busy_machine_is_told(load: str, is_told: bool) -> None:
    found = results(figures())
    found.machine = MACHINE | {"load before": load}
    assert (table.BUSY in table.markdown(found)) is is_told


def test_who_was_not_answered_has_no_time() -> None:
    text = table.markdown(results(figures(2000.0)))
    assert "| 2.0 | none | – | none | – | 10% |" in text


def test_a_process_that_ended_is_told_and_has_no_peak() -> None:
    found = results(figures(peak_mib=float("nan")) | {"lived": 0.0})
    assert "| 17 → – | 25% | process ended, serves |" in table.markdown(found)
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))


def test_who_does_not_recover_is_told() -> None:
    assert "does not serve" in table.markdown(results(figures(), figures() | {"recovered": 0.0}))


def test_the_page_keeps_what_stands_around_the_table(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    for _ in range(2):
        table.update(page, results(figures()))
    text = page.read_text()
    assert text.startswith(f"before\n{table.BEGIN}\n")
    assert text.endswith(f"{table.END}\nafter\n")
    assert "old" not in text
    assert text.count("| flood |") == 1
    with pytest.raises(ValueError, match="marks"):
        table.update(ROOT / "README.md", results(figures()))


def test_the_documentation_has_room_for_the_table() -> None:
    text = (ROOT / "docs" / "hardening.md").read_text()
    assert text.index(table.BEGIN) < text.index(table.END)


def test_colliding_names_collide_and_new_names_are_new() -> None:
    def hash33(name: str) -> int:
        value = 5381
        for character in name:
            value = (value * 33 + ord(character)) % 2**32
        return value

    colliding = plans.ATTACKS["colliding-names"].then
    new = plans.ATTACKS["new-names"].then
    assert colliding is not None
    assert new is not None
    request = next(colliding()).decode()
    names = {line.partition(":")[0] for line in request.split("\r\n")[2:-2]}
    assert len(names) == 90
    assert len({hash33(name) for name in names}) == 1
    source = new()
    assert not set(next(source).split(b"\r\n")[2:-2]) & set(next(source).split(b"\r\n")[2:-2])


@pytest.mark.integration
@pytest.mark.timeout(INSTALL_LIMIT)
def test_a_short_run_prints_a_table_and_writes_nothing() -> None:
    pages = [ROOT / "docs" / "hardening.md", ROOT / "docs" / "bench" / "attacks.json"]
    before = [page.read_bytes() if page.exists() else None for page in pages]
    command = ["tests/attack/run", "--rounds", "1", "--seconds", "0.3", "--servers", "bascule"]
    done = subprocess.run(
        [*command, "many-fields"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    row = next(line for line in done.stdout.splitlines() if line.startswith("│ many-fields"))
    assert "serves" in row
    assert [page.read_bytes() if page.exists() else None for page in pages] == before


@pytest.mark.integration
@pytest.mark.timeout(INSTALL_LIMIT)
@pytest.mark.parametrize("wrong", [["no-such"], ["--rounds", "0"], ["--servers", "iis"]])
def test_a_wrong_argument_is_refused(wrong: list[str]) -> None:
    done = subprocess.run(
        ["tests/attack/run", *wrong], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert wrong[-1] in done.stderr
