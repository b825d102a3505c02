"""What docs/start.md says that each way asks for, where a machine's speed has no say in it."""

from __future__ import annotations

import re

import pytest

from tests.foreign.count import Way, asked, ways
from tests.harness.processes import ROOT


@pytest.mark.parametrize("way", [pytest.param(each, id=each.name) for each in ways("bascule")])
def test_the_page_counts_what_the_command_counts(way: Way) -> None:
    page = (ROOT / "docs" / "start.md").read_text()
    (cells,) = re.findall(rf"^\| {way.name}[^|]*((?:\| \d+ )+)\|", page, re.MULTILINE)
    assert re.findall(r"\d+", cells) == [str(each) for each in asked(way)]
