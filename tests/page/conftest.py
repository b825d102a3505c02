"""A browser, and pages in it that must stay without complaint."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
)

from tests.harness.waiting import wait_until
from tests.page import scenes
from tests.page.fixture_server import FixtureServer, Scene
from tests.pictures.browser import chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    if shutil.which("chromium") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("needs chromium (Debian: the package chromium)")
        pytest.skip("needs chromium (Debian: the package chromium)")
    with chromium() as browser:
        yield browser


@dataclass
class Visit:
    """A page that shows a scene, and what the browser said meanwhile.

    Attributes:
        complaints: console messages (violations of the Content-Security-Policy among them),
            uncaught errors, requests to other hosts; the test fails when some are left.
    """

    server: FixtureServer
    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)

    def open(self) -> Page:
        """Go to the page and wait until it shows a snapshot."""
        self.page.goto(self.server.url)
        expect(self.page.locator("#contact")).to_contain_text("Live: ")
        return self.page

    def poll(self, times: int = 1) -> None:
        """Let the page ask again and show the answer, without waiting for the clock."""
        for _ in range(times):
            before = self.page.inner_text("#contact")
            self.page.clock.fast_forward(2000)
            expect(self.page.locator("#contact")).not_to_have_text(before)

    def jump(self) -> None:
        """Let the page ask again, whatever comes of it."""
        asked = self.server.asked
        self.page.clock.fast_forward(2000)
        until(self.page, lambda: self.server.asked > asked, "that the page asks")


Visitor = Callable[..., Visit]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visitor]:
    """Make visits: ``visit(scene, **options)``, options being those of a browser context.

    ``now`` is the time of the browser's clock at the beginning, by default the scenes'.
    """
    visits: list[Visit] = []

    def make(scene: Scene = scenes.calm, now: datetime = scenes.BEGIN, **options: Any) -> Visit:
        server = FixtureServer(scene)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        context = browser.new_context(**options)
        page = context.new_page()
        made = Visit(server, context, page)
        page.clock.install(time=now)
        page.on("console", lambda message: made.complaints.append(words(message)))
        page.on("pageerror", lambda error: made.complaints.append(str(error)))
        page.on("request", lambda request: watch(made, request.url))
        visits.append(made)
        return made

    yield make
    for each in visits:
        each.server.talks.set()
        each.context.close()
        each.server.shutdown()
        each.server.server_close()
    assert [complaint for each in visits for complaint in each.complaints] == []


def until(page: Page, fact: Callable[[], bool], what: str) -> None:
    """Let the page go on until `fact`."""
    wait_until(fact, what, pause=lambda seconds: page.wait_for_timeout(seconds * 1000))


def words(message: ConsoleMessage) -> str:
    return f"{message.type}: {message.text}"


def watch(visit: Visit, url: str) -> None:
    if not url.startswith((visit.server.url.removesuffix("/-/status"), "data:")):
        visit.complaints.append(f"a request to {url}")
