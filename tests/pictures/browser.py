"""Pictures of pages, by Debian's Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright


@dataclass(frozen=True, slots=True)
class Look:
    """How a page is looked at; sizes in CSS pixels."""

    scheme: Literal["light", "dark"]
    width: int
    height: int
    scale: float = 1.0


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser. Raises `FileNotFoundError` where there is none."""
    path = shutil.which("chromium")
    if path is None:
        raise FileNotFoundError("needs chromium (Debian: the package chromium)")
    # Its sandbox wants user namespaces, which root in a container often may not make.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


def open_page(browser: Browser, look: Look) -> Page:
    """An empty page with this look."""
    return browser.new_page(
        color_scheme=look.scheme,
        viewport={"width": look.width, "height": look.height},
        device_scale_factor=look.scale,
        reduced_motion="reduce",
    )


def save(page: Page, file: Path) -> None:
    """Write what is seen of a page as PNG."""
    page.mouse.move(0, 0)
    page.screenshot(path=file)
