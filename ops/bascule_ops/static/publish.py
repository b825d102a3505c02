"""Puts a generation's static files where nginx serves them, beside those of the generations before.

A page of the old version may ask for its files when the new one serves already. So there is one
directory for all of them: `add` brings the new names in before a generation takes over, `put`
replaces the others when it does, and what no generation has any more stays for `KEPT`. A rollback
is the same, the other way round. Files are written beside their place and then renamed: who asks
for one gets the old or the new, and never half of it.
"""

from __future__ import annotations

import filecmp
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from bascule_ops import atomic

KEPT: Final = 24 * 3600.0  # seconds; a page that is open for longer is loaded anew
# In NGINX_STATIC_DIR: the files, and since when nobody has those that are left over.
FILES: Final = "static"
LEFT_OVER: Final = "left_over.json"


def has_place(site: Path) -> bool:
    """Whether there is a place for them; where nginx is not beside the server there is none."""
    return site.is_dir() and os.access(site, os.W_OK)


def add(files: Mapping[str, Path], site: Path) -> None:
    """Bring in the names that are not there yet. Raises `OSError`."""
    if not has_place(site):
        return
    for name, path in files.items():
        if not os.path.lexists(site / FILES / name):
            with suppress(FileExistsError, NotADirectoryError):  # it has to wait for its place
                _copy(path, site / FILES / name)


def put(files: Mapping[str, Path], site: Path) -> None:
    """Have all files be these; others go once nobody had them for `KEPT`.

    Args:
        files: by their names under /static/.
        site: NGINX_STATIC_DIR.

    Raises `OSError`.
    """
    if not has_place(site):
        return
    target = site / FILES
    for name, path in files.items():
        _make_room(target / name, target)
        with suppress(FileNotFoundError):
            if filecmp.cmp(path, target / name, shallow=False):
                continue
        _copy(path, target / name)
    there = {each.relative_to(target).as_posix() for each in target.rglob("*") if not each.is_dir()}
    _forget(site, there - files.keys())


def _make_room(path: Path, top: Path) -> None:
    """Remove a directory where a file is to be, or a file where its directory is to be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    for parent in path.parents:
        if parent == top:
            break
        if os.path.lexists(parent) and not parent.is_dir():
            parent.unlink()


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # Hidden, which nginx does not serve; a name that no other process takes.
    descriptor, new = tempfile.mkstemp(prefix=".", dir=target.parent)
    os.close(descriptor)
    try:
        shutil.copyfile(source, new)
        Path(new).chmod(0o644)
        Path(new).replace(target)
    except OSError:
        Path(new).unlink()
        raise


def _forget(site: Path, names: set[str]) -> None:
    """Remove of these files those that nobody had for long enough."""
    record, now = site / LEFT_OVER, time.time()
    known: dict[str, float] = {}
    with suppress(OSError, ValueError):
        known = dict(json.loads(record.read_text(encoding="utf-8")))
    left = {name: min(known.get(name, now), now) for name in names}
    for name in [each for each, since in left.items() if now - since > KEPT]:
        path = site / FILES / name
        path.unlink()
        del left[name]
        with suppress(OSError):  # others are there still
            path.parent.rmdir()
    atomic.write(record, json.dumps(left))
