"""The pictures of the documentation: all there, small, and drawn from nothing but themselves."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs/img"
KNOWN = {
    "status-light.png",
    "status-dark.png",
    "status-phone.png",
    "top.svg",
    "flame-graph.svg",
    "report.png",
}


def test_all_pictures_are_there_and_small() -> None:
    sizes = {file.name: file.stat().st_size for file in PICTURES.iterdir()}
    assert {*sizes} == KNOWN
    assert max(sizes.values()) < 200_000


def test_no_drawing_asks_an_outside_host_for_anything() -> None:
    for file in PICTURES.glob("*.svg"):
        links = re.findall(r"(?:href=|url\(|src=)\W*(https?:[^\s\"')]+)", file.read_text())
        assert links == [], file.name


def test_every_picture_in_a_document_is_there_and_has_words_for_who_does_not_see_it() -> None:
    shown = set()
    for page in [ROOT / "README.md", *ROOT.glob("docs/*.md")]:
        for words, link in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text()):
            assert (page.parent / link).is_file(), f"{page.name}: {link}"
            assert len(words) > 10, f"{page.name}: {link}"
            shown.add((page.parent / link).resolve())
    assert {PICTURES / name for name in KNOWN} <= shown
