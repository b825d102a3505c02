"""Takes the picture of a page in a file: python -m tests.pictures.still FILE OUT.png."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from tests.pictures.browser import Look, chromium, open_page, save

LOOK: Final = Look("light", 1280, 1000)
SETTLE: Final = 1500  # ms that a page's own charts take to be drawn


def main() -> int:
    """Write the picture; return the exit status."""
    file, out = Path(sys.argv[1]), Path(sys.argv[2])
    with chromium() as browser:
        page = open_page(browser, LOOK)
        page.goto(file.resolve().as_uri())
        page.wait_for_timeout(SETTLE)
        save(page, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
