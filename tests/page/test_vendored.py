"""The JavaScript of others is what was reviewed, and its licence lies beside it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DIRECTORIES = ("ops/bascule_ops/observe/static/uplot", "tests/page/axe")


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_the_files_are_those_that_were_fetched(directory: str) -> None:
    place = ROOT / directory
    sums = dict(line.split()[::-1] for line in (place / "SHA256SUMS").read_text().splitlines())
    files = {file.name: file.read_bytes() for file in place.iterdir() if file.name != "SHA256SUMS"}
    assert {name: hashlib.sha256(content).hexdigest() for name, content in files.items()} == sums
    assert "LICENSE" in files


def test_the_script_that_fetches_knows_every_directory_and_pins_its_package() -> None:
    script = (ROOT / "tests/vendor/run").read_text()
    packages = re.findall(
        r"^package \S+ \d+\.\d+\.\d+ \\\n +sha512-\S{88} \\\n +(\S+)", script, re.M
    )
    assert sorted(packages) == sorted(DIRECTORIES)
