"""The status page in a real browser: what it shows of which snapshot."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.page import scenes
from tests.page.conftest import Visitor

pytestmark = pytest.mark.integration


def test_a_healthy_stack_is_said_to_be_healthy_in_the_head_and_in_the_title(visit: Visitor) -> None:
    page = visit(scenes.calm).open()
    expect(page.get_by_role("status")).to_have_text("Healthy")
    expect(page).to_have_title("✓ Healthy · Bascule")
    assert "%231a7f4b" in (page.get_attribute("link[rel=icon]", "href") or "")  # the green
    expect(page.locator("#failing li")).to_have_count(0)
    expect(page.locator("#passing-count")).to_have_text("6 checks passed")


def test_a_check_that_fails_stands_on_top_with_its_remedy(visit: Visitor) -> None:
    page = visit(scenes.trouble).open()
    expect(page).to_have_title("✗ 1 check fails: worker-1 · Bascule")
    assert "%23c4314b" in (page.get_attribute("link[rel=icon]", "href") or "")  # the red
    (check,) = page.locator("#failing li").all()
    assert check.inner_text().splitlines() == [
        "worker-1its status socket refuses connections",
        "ops/restart; its last words: ops/logs --level error",
    ]
    first = page.locator("main section").first
    assert first.get_attribute("id") == "checks"


def test_what_is_worth_a_note_is_shown_and_is_no_failure(visit: Visitor) -> None:
    page = visit(scenes.restarting).open()
    expect(page.get_by_role("status")).to_have_text("Healthy")
    (note,) = page.locator("#noted li").all()
    assert note.inner_text() == "worker-1worker-1 is being restarted (2 of 2)"
    expect(page.locator("#passing-count")).to_have_text("6 checks passed")


def test_every_worker_has_a_row_with_what_it_does(visit: Visitor) -> None:
    one = visit(scenes.calm)
    page = one.open()
    one.poll()
    rows = page.locator("#workers-table tbody tr")
    expect(rows).to_have_count(2)
    cells = rows.first.get_by_role("cell").all_inner_texts()
    assert cells[:2] == ["worker-0", "serving"]
    assert cells[2:6] == ["2 h 00 min", "200", "67 %", "213 ms"]
    assert cells[6:] == ["1 / 8", "0 / 512", "15", "46.1 MiB", "31", "0", "4100"]


def test_a_worker_that_does_not_answer_stays_in_the_table_with_the_reason(visit: Visitor) -> None:
    page = visit(scenes.trouble).open()
    row = page.get_by_role("row").filter(has_text="worker-1").first
    expect(row).to_contain_text("no answer")
    expect(row).to_contain_text("connection refused")


def test_rates_and_percentiles_are_those_of_the_last_seconds(visit: Visitor) -> None:
    one = visit(scenes.calm)
    page = one.open()
    legend = page.locator("figure").nth(0).locator(".legend")
    expect(legend).to_have_text("all –4xx –5xx –")
    one.poll()
    expect(legend).to_have_text("all 3004xx 7.505xx 1.50")
    one.poll(6)  # the window begins to move
    expect(legend).to_have_text("all 3004xx 7.505xx 1.50")
    percentiles = page.locator("figure").nth(1).locator(".legend").inner_text()
    assert percentiles.split() == ["p50", "806", "µs", "p95", "16.8", "ms", "p99", "229", "ms"]
    said = page.locator("figure").nth(0).get_by_role("img").get_attribute("aria-label")
    assert said is not None
    assert said.startswith("Requests a second over the last ten minutes. all: between 300 and 300")


def test_a_chart_is_drawn(visit: Visitor) -> None:
    one = visit(scenes.calm)
    page = one.open()
    one.poll(3)
    colours = page.evaluate(
        """() => [...document.querySelectorAll('canvas')].map((canvas) => new Set(new Uint32Array(
             canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer
           )).size)"""
    )
    assert len(colours) == 4
    assert min(colours) > 10, "little else than the ground"


def test_requests_in_flight_stand_oldest_first_and_a_hung_one_shows_its_stack(
    visit: Visitor,
) -> None:
    one = visit(scenes.trouble)
    page = one.open()
    rows = page.locator("#requests-table tbody tr")
    expect(rows).to_have_count(3)
    assert [row.get_by_role("cell").nth(1).inner_text() for row in rows.all()] == [
        "hung",
        "running",
        "waiting",
    ]
    expect(rows.first).to_contain_text("14.4 s")
    expect(rows.first).to_contain_text("POST /checkout")
    expect(rows.first).to_contain_text("shop/payment.py:214 charge")
    rows.first.get_by_role("button").first.click()
    stack = page.get_by_role("list", name="Stack, innermost last")
    assert stack.get_by_role("listitem").all_inner_texts() == scenes.STACK
    one.poll()
    expect(stack, "it folded itself").to_be_visible()
    expect(rows.first).to_contain_text("16.4 s")


def test_a_request_that_ended_leaves_the_table(visit: Visitor) -> None:
    one = visit(scenes.trouble)
    page = one.open()
    page.locator("#requests-table .fold").first.click()
    one.server.scene = scenes.calm
    one.poll()
    expect(page.locator("#requests-table tbody tr")).to_have_count(0)
    expect(page.locator("#requests-empty")).to_have_text("None.")


def test_requests_with_the_same_id_are_all_shown(visit: Visitor) -> None:
    twins = [scenes.request("same", age, "running", path=f"/{age}") for age in (1.0, 2.0)]
    page = visit(
        lambda now: scenes.snapshot(now, [scenes.worker("0", now, 1.0, requests=twins)])
    ).open()
    expect(page.locator("#requests-table tbody tr")).to_have_count(2)


def test_errors_stand_newest_first_with_worker_and_message(visit: Visitor) -> None:
    page = visit(scenes.trouble).open()
    rows = page.locator("#errors-table tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("hung_request")
    expect(rows.nth(1)).to_contain_text("KeyError: 'total'")
    expect(rows.nth(1)).to_contain_text("worker-0")


def test_slow_calls_are_added_up_over_the_workers_by_location(visit: Visitor) -> None:
    def scene(now: float) -> dict[str, object]:
        calls = [
            {
                "location": "shop/a.py:1 f",
                "count": 2,
                "total_s": 3.0,
                "last": scenes.stamp(number),
                "path": f"/{number}",
            }
            for number in (1, 0)
        ]
        workers = [
            scenes.worker(str(number), now, 1.0, slow_calls=[call])
            for number, call in enumerate(calls)
        ]
        return scenes.snapshot(now, workers)

    page = visit(scene).open()
    (row,) = page.locator("#slow-table tbody tr").all()
    cells = row.get_by_role("cell").all_inner_texts()
    assert cells[:4] == ["shop/a.py:1 f", "4", "6 s", "1.50 s"]
    assert cells[5] == "/1"


def test_nginx_disk_certificates_and_processes_are_told(visit: Visitor) -> None:
    page = visit(scenes.calm).open()
    facts = page.locator("#facts").inner_text()
    assert "23 connections (0 reading, 4 writing, 19 waiting)" in facts
    assert "29.2 GiB free of 57.7 GiB" in facts
    assert "CN=shop.example: 61 days left" in facts
    expect(page.locator("#processes-table tbody tr")).to_have_count(3)


def test_a_stack_of_which_little_is_known_is_shown_all_the_same(visit: Visitor) -> None:
    def scene(now: float) -> dict[str, object]:
        workers = [{"worker": "0", "error": "its socket is not there", "metrics": None}]
        unknown = dict.fromkeys(("active", "reading", "writing", "waiting", "requests"))
        return scenes.snapshot(
            now, workers, nginx={"up": False, **unknown}, processes=[], disk=[], certificates=[]
        )

    one = visit(scene)
    page = one.open()
    one.poll(2)
    expect(page.locator("figure .legend").first).to_have_text("all –4xx –5xx –")
    expect(page.locator("#facts")).to_contain_text("does not answer")
    expect(page.locator("#workers-table")).to_contain_text("its socket is not there")
