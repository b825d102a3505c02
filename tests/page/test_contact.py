"""What the page says when it no longer knows: stale figures are never shown as live."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.page import scenes
from tests.page.conftest import Visit, Visitor

pytestmark = pytest.mark.integration
RESOURCE = "error: Failed to load resource"  # Chromium's own note on a failed fetch
HIDE = "Object.defineProperty(document, 'hidden', {get: () => %s, configurable: true});"
TELL = "document.dispatchEvent(new Event('visibilitychange'))"
SINCE = r"No contact since \d\d:\d\d:\d\d \(\d+\.\d s\): "


def expect_lost(page: Page, reason: str) -> None:
    expect(page.locator("#contact")).to_have_text(re.compile(SINCE + reason), timeout=10_000)
    expect(page.get_by_role("status")).to_have_text("No contact")
    expect(page).to_have_title("? No contact · Bascule")
    expect(page.locator("#stale")).to_have_text(re.compile(r"Not live: this was so at .*\d\."))
    expect(page.locator("#workers-table")).to_be_visible()
    assert "grayscale" in page.eval_on_selector(
        "#charts", "node => getComputedStyle(node.parentElement).filter"
    )


def forgive_failed_fetches(visit: Visit) -> None:
    visit.complaints = [each for each in visit.complaints if not each.startswith(RESOURCE)]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((502, b"{}"), "the answer is status 502"),
        ((200, b"<html>"), "the answer is not JSON"),
    ],
)
def test_a_wrong_answer_is_no_contact_and_the_next_good_one_ends_that(
    visit: Visitor, answer: tuple[int, bytes], reason: str
) -> None:
    one = visit(scenes.trouble)
    page = one.open()
    one.server.answers = answer
    one.jump()
    expect_lost(page, reason)
    since = page.inner_text("#contact").split("(")[0]
    one.jump()
    expect(page.locator("#contact")).to_contain_text(since)
    one.server.answers = None
    one.jump()
    expect(page.locator("#contact")).to_have_text(re.compile("Live: "))
    expect(page.locator("#stale")).to_be_hidden()
    expect(page.get_by_role("status")).to_have_text("1 check fails: worker-1")
    forgive_failed_fetches(one)


def test_nobody_at_the_address_is_no_contact(visit: Visitor) -> None:
    one = visit(scenes.calm)
    page = one.open()
    one.server.shutdown()
    one.server.server_close()
    page.clock.fast_forward(2000)
    expect_lost(page, "nothing answers at this address")
    forgive_failed_fetches(one)


def test_silence_is_no_contact_after_five_seconds(visit: Visitor) -> None:
    one = visit(scenes.calm)
    page = one.open()
    one.server.talks.clear()
    one.jump()
    expect_lost(page, "no answer within 5 s")


def test_an_answer_that_cannot_be_shown_is_no_contact(visit: Visitor) -> None:
    one = visit(scenes.calm)
    page = one.open()
    one.server.answers = (200, b'{"time": "2026-11-21T09:00:00Z"}')
    one.jump()
    expect_lost(page, "the answer cannot be shown")
    assert [each[:16] for each in one.complaints] == ["error: TypeError"]
    one.complaints.clear()


def test_a_page_that_never_had_contact_says_so(visit: Visitor) -> None:
    one = visit(scenes.calm)
    one.server.answers = (502, b"")
    one.page.goto(one.server.url)
    expect(one.page.get_by_role("status")).to_have_text("No contact")
    expect(one.page.locator("#stale")).to_be_hidden()
    forgive_failed_fetches(one)


def test_a_page_that_is_opened_in_the_background_asks_when_it_is_seen(visit: Visitor) -> None:
    one = visit(scenes.calm)
    one.page.add_init_script(HIDE % "true")
    one.page.goto(one.server.url)
    one.page.clock.run_for(10_000)
    assert one.server.asked == 0
    one.page.evaluate(HIDE % "false" + TELL)
    expect(one.page.locator("#contact")).to_have_text(re.compile("Live: "))


def test_nothing_is_asked_while_the_page_is_hidden_and_at_once_when_it_is_seen(
    visit: Visitor,
) -> None:
    one = visit(scenes.calm)
    page = one.open()
    page.evaluate(HIDE % "true" + TELL)
    expect(page.locator("#contact")).to_have_text("Paused while the page is hidden")
    expect(page.locator("#stale")).to_be_visible()
    asked = one.server.asked
    page.clock.run_for(60_000)
    assert one.server.asked == asked
    page.evaluate(HIDE % "false" + TELL)
    expect(page.locator("#contact")).to_have_text(re.compile("Live: "))
    assert one.server.asked == asked + 1
