"""docs/gunicorn.md: every option of gunicorn, against its own --help and ours."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

from bascule import gunicorn as theirs

from tests.harness.processes import ROOT

PAGE = (ROOT / "docs" / "gunicorn.md").read_text()
ROWS = {
    tuple(re.findall(r"`([^`]+)`", flags)): text
    for flags, text in re.findall(r"^\| (`-[^|]*) \| ([^|]+) \|$", PAGE, re.M)
}
# Of no setting; ours does the same.
OF_EACH_COMMAND = {"-h", "--help", "-v", "--version"}


def options(module: str) -> Iterator[tuple[str, ...]]:
    """Yield the spellings of each option, as --help has them."""
    text = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        env={"COLUMNS": "300", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT / "server",
    ).stdout
    for line in text.splitlines():
        if match := re.match(r"  (-\S+(?: [^\s,]+)?(?:, -\S+(?: [^\s,]+)?)*)(?:  |$)", line):
            yield tuple(re.findall(r"(?:^|, )(-[\w-]+)", match[1]))


def test_the_page_has_the_options_of_gunicorn_s_help_and_no_others() -> None:
    found = [each for each in options("gunicorn") if not OF_EACH_COMMAND & {*each}]
    assert len(found) > 90
    assert list(ROWS) == found


def test_an_option_is_the_same_where_ours_has_it_and_else_answered_in_the_same_words() -> None:
    ours = {spelling for each in options("bascule") for spelling in each}
    answers = {flags: text for flags, text in theirs.ELSEWHERE.values() if flags}
    for flags, text in ROWS.items():
        if flags in answers:
            assert not ours & {*flags}, flags
            assert text == answers[flags]
        else:
            assert ours >= {*flags}, flags
            assert text.startswith(("same", "`")), flags


def test_what_the_page_names_of_ours_is_there() -> None:
    ours = {spelling for each in options("bascule") for spelling in each}
    for flags, text in ROWS.items():
        named = set(re.findall(r"(?<![\w-])--[a-z-]+", text)) - {*flags}
        assert named <= ours, flags
        for page in re.findall(r"\bdocs/(\w+\.md)", text):
            assert (ROOT / "docs" / page).exists()
