"""Where the project's templates are."""

from __future__ import annotations

from pathlib import Path

import pytest
from bascule.development import templates
from bascule.development.templates import Templates

FOUND = ["templates/a.html", "shop/jinja2/deep/a.html", "views/a.tpl"]
NOT_FOUND = [
    *("shop/a.html", "templates_of_others/a.html", "templates/.a.html.swp"),
    *(".git/templates/a", "node_modules/it/templates/a", "env/lib/templates/a"),
]


def make(root: Path, *names: str) -> set[str]:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return {str(root / name) for name in names}


def test_they_are_found_however_deep_but_not_those_of_others(tmp_path: Path) -> None:
    make(tmp_path, "env/pyvenv.cfg", *NOT_FOUND)
    found = make(tmp_path, *FOUND)
    assert set(Templates(str(tmp_path)).paths()) == found


def test_one_that_is_new_is_found_and_so_is_a_new_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templates, "INTERVAL", 0.0)
    monkeypatch.setattr(templates, "SHARE", 1e9)
    found = make(tmp_path, "templates/a.html")
    place = Templates(str(tmp_path))
    assert set(place.paths()) == found
    found |= make(tmp_path, "templates/b.html", "shop/templates/c.html")
    assert set(place.paths()) == found
