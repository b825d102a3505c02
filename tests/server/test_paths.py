"""Settings that are paths: relative ones mean the directory of the start."""

from __future__ import annotations

from pathlib import Path

import pytest
from bascule.config import Setting, build, settings

APPLICATION = "app:application"
# What a setting's value is called in the help text, and a relative path as such a value.
PATHS = {"PATH": "run/a", "FILE": "run/a", "DIR": "run/a", "ADDRESS": "unix:run/a"}
OTHERS = {"", "N", "BYTES", "SECONDS", "FORMAT", "LEVEL", "NAME"}


def test_each_setting_is_known_to_be_a_path_or_not() -> None:
    assert {each.metavar for each in settings()} == PATHS.keys() | OTHERS


@pytest.mark.parametrize(
    "setting", [each for each in settings() if each.metavar in PATHS], ids=lambda each: each.name
)
def test_a_relative_path_is_seen_from_where_the_process_was_started(
    setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = PATHS[setting.metavar]
    for found in (
        build(APPLICATION, {setting.name: [given]}, {}),
        build(APPLICATION, {}, {f"BASCULE_{setting.name.upper()}": given}),
    ):
        value = getattr(found, setting.name)
        (text,) = value if isinstance(value, tuple) else (value,)
        assert text.removeprefix("unix:") == str(tmp_path / "run/a")


def test_what_is_no_path_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for value in ("-", "off"):
        assert build(APPLICATION, {"access_logfile": [value]}, {}).access_logfile == value
    assert build(APPLICATION, {"bind": ["unix:@run/a"]}, {}).bind == ("unix:@run/a",)
    assert build(APPLICATION, {}, {}).hold == ""


def test_an_absolute_path_needs_no_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert build(APPLICATION, {"hold": ["/run/hold"]}, {}).hold == "/run/hold"
