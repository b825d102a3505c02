"""How tests/bench/run judges a run by its aims."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.bench import aims
from tests.bench.figures import best_first
from tests.bench.measure import Figures
from tests.bench.peers import PEERS
from tests.bench.results import Results
from tests.bench.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]


def results(figures: dict[str, dict[str, list[Figures | None]]]) -> Results:
    """A run of two rounds that found these figures."""
    return Results(
        rounds=2,
        seconds=1.0,
        machine={},
        servers=dict.fromkeys(PEERS, "1"),
        left_out={},
        figures=figures,
    )


def verdict(run: Results, subject: str, unit: str) -> aims.Verdict:
    """The verdict on one aim."""
    (found,) = [
        each
        for each in aims.judge(run, tuple(SCENARIOS))
        if each.aim.subject == subject and each.aim.unit.endswith(unit)
    ]
    return found


def cpu(*rounds: float) -> list[Figures | None]:
    return [{"cpu_us": each} for each in rounds]


def rate(*rounds: float) -> list[Figures | None]:
    return [{"requests_per_second": each} for each in rounds]


def test_a_ratio_up_to_the_limit_is_met() -> None:
    run = results({"hello": {"bascule": cpu(13.0, 26.0), "bjoern": cpu(10.0, 20.0)}})
    found = verdict(run, "hello, CPU a request", "bjoern")
    assert (found.measured, found.against, found.is_met) == (1.3, "bjoern", True)


def test_a_ratio_above_the_limit_is_not_met() -> None:
    run = results({"hello": {"bascule": cpu(14.0, 14.0), "bjoern": cpu(10.0, 10.0)}})
    assert verdict(run, "hello, CPU a request", "bjoern").is_met is False


def test_an_aim_whose_peer_was_left_out_is_not_judged() -> None:
    run = results({"hello": {"bascule": cpu(1.0, 1.0)}})
    found = verdict(run, "hello, CPU a request", "bjoern")
    assert (found.measured, found.is_met) == (None, None)


def test_an_aim_whose_peer_failed_in_every_round_is_not_judged() -> None:
    run = results({"hello": {"bascule": cpu(1.0, 1.0), "bjoern": [None, None]}})
    assert verdict(run, "hello, CPU a request", "bjoern").is_met is None


def test_against_several_peers_the_hardest_to_match_counts() -> None:
    run = results(
        {
            "connections": {
                "bascule": rate(100.0, 100.0),
                "granian": rate(80.0, 80.0),
                "uwsgi": rate(125.0, 125.0),
                "floor": rate(900.0, 900.0),
            }
        }
    )
    found = verdict(run, "new connections, requests/s", "best peer")
    assert (found.measured, found.against, found.is_met) == (0.8, "uwsgi", False)


def test_traffic_is_compared_with_one_head_again_and_again() -> None:
    run = results({"traffic": {"bascule": cpu(32.0, 30.0)}, "hello": {"bascule": cpu(20.0, 20.0)}})
    found = verdict(run, "traffic, CPU a request", "again and again")
    assert (found.measured, found.against, found.is_met) == (1.55, "bascule", True)


def test_what_was_before_is_compared_with_room_for_noise() -> None:
    run = results({"page": {"bascule": rate(96.0, 96.0), "before": rate(100.0, 100.0)}})
    assert verdict(run, "64 KiB body, requests/s", "before").is_met
    run = results({"page": {"bascule": rate(94.0, 94.0), "before": rate(100.0, 100.0)}})
    assert verdict(run, "64 KiB body, requests/s", "before").is_met is False


def test_every_aim_names_scenarios_and_figures_that_are_measured() -> None:
    """An aim that asks for what no scenario gives would never be judged."""
    names = ("cpu_us", "requests_per_second", "p99_ms", "p99_alone_ms", "fast_p99_ms")
    names += ("kib_per_connection", "up_growth_mib", "down_growth_mib", "mib_per_second")
    names += ("worker_pss_mib", "of_nginx", "supervisord_cpu_us", "added_us", "p99_steady_ms")
    everything: Figures = dict.fromkeys(names, 1.0)
    run = results(
        {
            scenario.name: {server: [everything, everything] for server in scenario.servers}
            for scenario in SCENARIOS.values()
        }
    )
    assert [
        each.aim.subject for each in aims.judge(run, tuple(SCENARIOS)) if each.is_met is None
    ] == []


def test_a_run_of_some_scenarios_is_judged_by_their_aims_only() -> None:
    judged = aims.judge(results({}), ("sleep", "idle"))
    assert [each.aim.scenario for each in judged] == ["sleep", "idle", "idle", "sleep", "idle"]


def test_a_table_has_the_best_server_first() -> None:
    run = results(
        {
            "hello": {"bjoern": cpu(9.0, 9.0), "bascule": cpu(8.0, 8.0), "uwsgi": [None, None]},
            "page": {"bjoern": rate(9.0, 9.0), "bascule": rate(8.0, 8.0)},
        }
    )
    assert best_first(run, SCENARIOS["hello"]) == ["bascule", "bjoern"]
    assert best_first(run, SCENARIOS["page"]) == ["bjoern", "bascule"]


def test_the_summary_has_the_processor_time_of_each_server_and_the_ratio_within_each_round() -> (
    None
):
    report = pytest.importorskip("tests.bench.report")
    run = results(
        {
            "traffic": {"bascule": cpu(30.0, 60.0), "bjoern": cpu(20.0, 30.0)},
            "hello": {"bascule": cpu(10.0, 12.0), "floor": cpu(5.0, 6.0)},
            "page": {"bascule": rate(1.0, 1.0)},
        }
    )
    table = report.summary(run)
    rows = list(zip(*(column.cells for column in table.columns), strict=True))
    assert [column.header for column in table.columns] == ["", "bascule", "bjoern", "floor"]
    assert rows == [
        ("traffic", "45.0", "25.0 (1.75)", ""),
        ("hello", "11.0", "", "5.5 (2.00)"),
    ]


def test_the_file_has_every_round_its_median_and_what_failed() -> None:
    run = results({})
    run.add("hello", "bascule", {"cpu_us": 1.0})
    run.add("hello", "bascule", {"cpu_us": 3.0})
    run.add_failure("hello", "bjoern", "did not start")
    run.add_failure("hello", "bjoern", "did not start")
    found: dict[str, Any] = run.as_json(SCENARIOS)["scenarios"]["hello"]
    assert found["servers"]["bascule"]["cpu_us"] == {
        "median": 2.0,
        "low": 1.0,
        "high": 3.0,
        "rounds": [1.0, 3.0],
    }
    assert found["failures"] == {"bjoern": "did not start"}


def test_the_documentation_has_every_scenario_and_no_other() -> None:
    page = (ROOT / "docs" / "bench" / "README.md").read_text()
    rows = re.findall(r"^\| (`.+?) \|", page, re.MULTILINE)
    assert sorted(re.findall(r"`([^`]+)`", " ".join(rows))) == sorted(SCENARIOS)
