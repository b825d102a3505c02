"""The page for everybody: keyboard, screen reader, colours, small screens."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.page import scenes
from tests.page.conftest import Visitor, until
from tests.page.fixture_server import Scene

pytestmark = pytest.mark.integration
AXE = Path(__file__).with_name("axe") / "axe.min.js"
PHONE = {"width": 360, "height": 780}


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong, by all rules of WCAG 2.2 A and AA and its best practices."""
    page.evaluate(AXE.read_text())
    found: dict[str, Any] = page.evaluate(
        "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
    )
    return [
        f"{each['id']}: {node['html'][:120]} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [{"width": 1280, "height": 800}, PHONE], ids=["wide", "phone"])
def test_axe_finds_nothing_wrong(visit: Visitor, scheme: str, size: dict[str, int]) -> None:
    one = visit(scenes.trouble, color_scheme=scheme, viewport=size, reduced_motion="reduce")
    page = one.open()
    one.poll()
    page.locator("#requests-table .fold").first.click()
    page.locator("#checks summary").click()
    assert violations(page) == []
    one.server.answers = (200, b"")
    one.jump()
    expect(page.get_by_role("status")).to_have_text("No contact")
    assert violations(page) == [], "without contact"


@pytest.mark.parametrize("scene", [scenes.trouble, scenes.hostile])
@pytest.mark.parametrize("width", [PHONE["width"], 800, 1160])
def test_nothing_is_wider_than_the_window(visit: Visitor, scene: Scene, width: int) -> None:
    # A day later, when times have their date beside them.
    later = scenes.BEGIN + timedelta(days=1)
    one = visit(scene, later, viewport={"width": width, "height": 780})
    page = one.open()
    one.poll()
    for fold in page.locator(".fold").all():
        fold.click()
    page.locator("#checks summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_narrow_window_that_grows_has_charts_as_wide_as_their_place(visit: Visitor) -> None:
    one = visit(scenes.calm, viewport=PHONE)
    page = one.open()
    page.set_viewport_size({"width": 1000, "height": 800})
    fits = """() => [...document.querySelectorAll('.drawing')].every(
         (node) => Math.abs(node.clientWidth - node.querySelector('.uplot').clientWidth) < 2)"""
    until(page, lambda: bool(page.evaluate(fits)), "a page that fits")


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_the_page_follows_the_systems_colours(visit: Visitor, scheme: str, is_dark: bool) -> None:
    page = visit(scenes.calm, color_scheme=scheme).open()
    red, green, blue = page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    )
    assert (red + green + blue < 3 * 64) is is_dark


def test_who_prefers_less_motion_sees_none(visit: Visitor) -> None:
    one = visit(scenes.trouble, reduced_motion="reduce")
    page = one.open()
    one.poll()
    assert page.evaluate("document.getAnimations().length") == 0


def test_the_keyboard_reaches_everything_in_order_and_sees_where_it_is(visit: Visitor) -> None:
    page = visit(scenes.trouble, reduced_motion="reduce").open()
    operable = page.locator("a:visible, button:visible, summary:visible").count()
    walked = []
    for _ in range(operable):
        page.keyboard.press("Tab")
        text, outline, top = page.evaluate(
            """() => { const node = document.activeElement; return [
                 node.innerText, getComputedStyle(node).outlineStyle,
                 node.getBoundingClientRect().top + scrollY ]; }"""
        )
        assert outline != "none", f"no focus is seen on {text}"
        walked.append((text, top))
    assert walked[0][0] == "Skip to the requests in flight"
    assert [top for _, top in walked[1:]] == sorted(top for _, top in walked[1:])
    assert len({*walked}) == operable, "a trap"


def test_a_row_unfolds_by_keyboard_and_keeps_the_focus_over_polls(visit: Visitor) -> None:
    one = visit(scenes.trouble)
    page = one.open()
    fold = page.locator("#requests-table .fold").first
    fold.focus()
    page.keyboard.press("Enter")
    expect(fold).to_have_attribute("aria-expanded", "true")
    one.poll(2)
    expect(fold).to_be_focused()
    page.keyboard.press("Enter")
    expect(fold).to_have_attribute("aria-expanded", "false")


def test_the_skip_link_leads_to_the_requests(visit: Visitor) -> None:
    page = visit(scenes.trouble).open()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#requests")).to_be_focused()


def test_a_screen_reader_hears_of_the_verdict_and_of_nothing_else(visit: Visitor) -> None:
    one = visit(scenes.trouble)
    page = one.open()
    live = page.locator("[aria-live], [role=status], [role=alert], [role=log]")
    assert [node.get_attribute("id") for node in live.all()] == ["verdict"]
    page.evaluate(
        """() => { window.heard = [];
             new MutationObserver(() => window.heard.push(document.getElementById('verdict').innerText))
               .observe(document.getElementById('verdict'), {childList: true, characterData: true, subtree: true}); }"""
    )
    one.poll(3)
    one.server.scene = scenes.calm
    one.poll(3)
    assert page.evaluate("window.heard") == ["Healthy"]


def test_cards_on_a_phone_are_a_table_to_a_screen_reader(visit: Visitor) -> None:
    one = visit(scenes.trouble, viewport=PHONE)
    one.open()
    tree = one.context.new_cdp_session(one.page).send("Accessibility.getFullAXTree")
    roles = [node.get("role", {}).get("value") for node in tree["nodes"] if not node["ignored"]]
    # Three requests, two workers, two errors, two places of slow calls, three processes.
    assert roles.count("table") == 5
    assert roles.count("columnheader") == 6 + 13 + 6 + 6 + 4
    assert roles.count("cell") == 3 * 6 + 2 * 13 + 2 * 6 + 2 * 6 + 3 * 4


def test_a_screen_reader_finds_landmarks_headings_and_tables(visit: Visitor) -> None:
    page = visit(scenes.trouble, viewport=PHONE).open()
    for role in ("banner", "main"):
        expect(page.get_by_role(role)).to_have_count(1)
    for name in ("Requests in flight", "Workers", "Recent errors", "Where calls are slow"):
        expect(page.get_by_role("region", name=name)).to_have_count(1)
        table = page.get_by_role("table", name=name)
        headers = table.get_by_role("columnheader").count()
        assert headers > 4
        assert table.get_by_role("row").nth(1).get_by_role("cell").count() == headers
    assert page.get_by_role("img").count() == 4
