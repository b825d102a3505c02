"""Which files have changed, as ``--reload`` asks."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
from bascule.reload import Files


def test_a_file_that_is_written_removed_or_replaced_has_changed(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.touch()
    files = Files([str(path), str(other)])
    assert files.changed() == []
    assert files.changed() == []
    path.write_text("more")
    other.touch()
    assert files.changed() == [str(path), str(other)]
    path.unlink()
    assert files.changed() == [str(path)]
    assert files.changed() == []


def test_what_was_compiled_of_it_goes_since_the_next_save_may_look_the_same(tmp_path: Path) -> None:
    source = tmp_path / "a.py"
    source.touch()
    compiled = Path(importlib.util.cache_from_source(str(source)))
    compiled.parent.mkdir()
    files = Files([str(source)])
    compiled.touch()
    files.changed()
    assert compiled.exists()
    source.write_text("more")
    assert files.changed() == [str(source)]
    assert not compiled.exists()


def test_modules_are_looked_at_and_one_that_is_imported_late_may_be_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Files()
    paths = [tmp_path / name for name in ("early.py", "old.py", "late.py", "to_come.py")]
    early, old, late, to_come = paths

    def imported(path: Path) -> None:
        path.touch()
        module = ModuleType(path.stem)
        module.__file__ = str(path)
        monkeypatch.setitem(sys.modules, path.stem, module)

    imported(early)
    assert files.changed() == []
    files.is_loaded = True
    imported(old)
    imported(to_come)
    os.utime(old, (0, 0))
    os.utime(to_come, (2 * time.time(), 2 * time.time()))
    imported(late)
    assert files.changed() == [str(late)]
    assert files.changed() == []
