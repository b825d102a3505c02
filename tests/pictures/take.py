"""Takes the pictures of a running stack with the shop in it. Run from ``tests/pictures/run``."""

from __future__ import annotations

import io
import json
import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bascule_ops.observe.history import History
from bascule_ops.observe.panels import Choice
from bascule_ops.observe.screen import screen
from playwright.sync_api import Page
from rich.console import Console

from tests.harness.fetch import fetch
from tests.pictures.browser import Look, chromium, open_page, save
from tests.pictures.visitors import ask, shopping

SECONDS: Final = 70  # of load before the pictures, so that the charts have something to show
PERIOD: Final = 2.0  # seconds between two polls
LOOKS: Final = {
    "status-light.png": Look("light", 1280, 1000),
    "status-dark.png": Look("dark", 1280, 1000),
    "status-phone.png": Look("light", 360, 780, 2.0),
}
ROOT: Final = Path(__file__).parents[2]
COLUMNS: Final = 120
LINES: Final = 40
# Pictures are drawn from this tree alone, so no font is fetched.
OUTSIDE_FONT: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def snapshot(port: int) -> bytes:
    """What /-/status.json tells, with paths as they are in the containers."""
    told = fetch(port, "/-/status.json", limit=10).body
    for here, there in ((str(ROOT), "/opt/bascule"), (sys.base_prefix, "/usr")):
        told = told.replace(here.encode(), there.encode())
    return told


def terminal_view(history: History, file: Path) -> None:
    """Draw what ops/top shows, as an SVG."""
    console = Console(
        width=COLUMNS,
        height=LINES,
        record=True,
        force_terminal=True,
        file=io.StringIO(),
        highlight=False,
    )
    console.print(screen(history, Choice(0, unfolded=False), console, fits=True))
    drawn = console.export_svg(title="ops/top")
    file.write_text(OUTSIDE_FONT.sub("", drawn))


def checkout(port: int) -> None:
    """Have somebody wait for a payment, beside this thread."""
    threading.Thread(target=ask, args=(port, "POST", "/checkout"), daemon=True).start()


def unfold(page: Page) -> None:
    """Show the stack of the oldest request."""
    page.locator("#requests-table .fold").first.click()


def watch(pages: list[Page], history: History, status_port: int, port: int) -> None:
    """Let the shop run for a while before pages and a history that follow it."""
    began = time.monotonic()
    checkout(port)
    later: list[tuple[float, Callable[[int], None]]] = [(SECONDS - 5.0, checkout)]
    while (elapsed := time.monotonic() - began) < SECONDS:
        while later and elapsed >= later[0][0]:
            later.pop(0)[1](port)
        history.add(json.loads(snapshot(status_port)))
        pages[0].wait_for_timeout(PERIOD * 1000)  # which lets the pages poll


def main() -> int:
    """Write the pictures into the directory that is named; return the exit status."""
    directory, port, status_port = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    page_url = f"http://127.0.0.1:{status_port}/-/status"
    url = f"{page_url}.json"
    history = History()
    with chromium() as browser, shopping(port):
        pages = {file: open_page(browser, look) for file, look in LOOKS.items()}
        for page in pages.values():
            page.route(url, lambda route: route.fulfill(body=snapshot(status_port)))
            page.goto(page_url)
        watch(list(pages.values()), history, status_port, port)
        for file, page in pages.items():
            if LOOKS[file].width > 1000:
                unfold(page)
            save(page, directory / file)
        terminal_view(history, directory / "top.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
