"""The page and the terminal view of a stack in which calls hang, fail and are slow."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.harness.fetch import fetch
from tests.harness.tree import LIMIT, Tree
from tests.page.conftest import words
from tests.page.terminal import Terminal

pytestmark = pytest.mark.integration
ATTACK = "<img src=x onerror=alert(1)>"
SHOP = {
    "BASCULE_CHAIN": "tests/pictures/chain.toml",
    "BASCULE_TIMEOUT": "1",
    "BASCULE_GRACEFUL_TIMEOUT": "1",
}


@pytest.fixture(scope="module")
def shop(venv: Path) -> Iterator[Tree]:
    """The shop of the pictures; a payment hangs in it for ever."""
    tree = Tree(venv, **SHOP)
    done = tree.up()
    assert done.returncode == 0, done.stdout + done.stderr
    try:
        yield tree
    finally:
        tree.remove()


@pytest.fixture(scope="module")
def hung(shop: Tree) -> str:
    """The id of a payment that hangs, past its deadline."""
    path = "/checkout/" + "".join(f"%{ord(each):02x}" for each in ATTACK)
    return identity_of(shop, "POST", path, status=504)


@pytest.fixture(scope="module")
def failed(shop: Tree) -> str:
    """The id of a request in which the application raised."""
    return identity_of(shop, "GET", "/basket", status=500)


def identity_of(tree: Tree, method: str, path: str, status: int) -> str:
    answer = fetch(tree.port, path, method, limit=LIMIT)
    assert answer.status == status
    identity = answer.fields["X-Request-ID"]
    assert identity is not None
    return identity


@pytest.fixture
def page(browser: Browser, shop: Tree, hung: str, failed: str) -> Iterator[Page]:
    """The status page; it must stay without a word in the console."""
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(words(message)))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"http://localhost:{shop.status_port}/-/status")
    expect(page.locator("#contact")).to_contain_text("Live: ")
    yield page
    context.close()
    assert [line for line in said if "Failed to load resource" not in line] == []


def test_a_hung_request_shows_its_age_and_where_it_hangs(page: Page, hung: str) -> None:
    row = page.locator("#requests-table tbody tr").filter(has_text=hung)
    expect(row).to_contain_text("hung")
    age = row.get_by_role("cell").first
    before = age.inner_text()
    assert re.fullmatch(r"\d+\.\d s|\d+ min \d\d s", before)
    expect(row).to_contain_text(f"POST /checkout/{ATTACK}")
    row.get_by_role("button").first.click()
    stack = page.get_by_role("list", name="Stack, innermost last")
    expect(stack.get_by_role("listitem").last).to_contain_text(
        re.compile(r"tests/pictures/shop\.py:\d+ charge")
    )
    expect(age).not_to_have_text(before)
    assert page.locator("table img").count() == 0
    expect(page.get_by_role("status")).to_contain_text("hung")


def test_from_an_error_on_the_page_it_is_one_click_and_one_command_to_its_story(
    page: Page, shop: Tree, failed: str
) -> None:
    row = page.locator("#errors-table tbody tr").filter(has_text=failed).first
    expect(row).to_contain_text("KeyError: 'total'")
    row.get_by_role("button", name=failed).click()
    command = page.evaluate("navigator.clipboard.readText()")
    done = shop.run(*shlex.split(command))
    assert done.returncode == 0, done.stderr
    assert "/basket" in done.stdout
    assert "KeyError" in done.stdout


def test_the_load_shows_in_rates_and_workers(page: Page, shop: Tree) -> None:
    with shop.load() as failures:
        rate = page.locator("figure .value").first
        expect(rate).to_have_text(re.compile(r"[1-9]\d+"), timeout=15_000)
        busy = page.locator("#workers-table tbody tr").filter(has_text="serving")
        expect(busy).to_have_count(2)
        expect(busy.first.get_by_role("cell").nth(4)).to_have_text(re.compile(r"[1-9]\d* %"))
    assert all("200" in each for each in failures), failures


def test_the_terminal_view_shows_the_same(shop: Tree, hung: str, failed: str) -> None:
    top = Terminal("ops/top", columns=140, lines=45, cwd=shop.root, environ=shop.environ)
    try:
        top.wait_for(
            hung, "hung", f"POST /checkout/{ATTACK}", "shop.py", failed, "KeyError: 'total'"
        )
        top.send("q")
        assert top.wait() == 0
        assert top.is_as_it_was
    finally:
        top.close()


def test_without_a_terminal_it_prints_one_frame(shop: Tree, hung: str) -> None:
    done = shop.run("ops/top")
    assert done.returncode == 0, done.stderr
    assert hung in done.stdout
    assert "Workers 2" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_stack_that_does_not_run_is_said_not_to() -> None:
    tree = Tree()
    try:
        done = tree.run("ops/top")
    finally:
        tree.remove()
    assert done.returncode == 3
    assert done.stderr == "ops/top: the stack does not run; ops/up starts it\n"


def test_when_the_stack_is_stopped_the_page_says_that_contact_is_lost(
    page: Page, shop: Tree
) -> None:
    shop.run("ops/down")
    expect(page.get_by_role("status")).to_have_text("No contact", timeout=15_000)
    expect(page.locator("#contact")).to_contain_text("nothing answers at this address")
    expect(page.locator("#stale")).to_be_visible()
