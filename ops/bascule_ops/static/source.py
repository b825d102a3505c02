"""Where a project's files for nginx are, by what its chain file names as `static` and `media`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bascule_middleware import chain
from bascule_middleware.chain import Chain, ChainError

from bascule_ops.static import collect

COLLECTSTATIC: Final = "collectstatic"
# Where that was collected to: when the image was built, or beside a generation's supervisord.
IN_IMAGE: Final = Path("/opt/bascule/static")
_COLLECTED: Final = "collected"


def media(environ: Mapping[str, str]) -> Path | None:
    """The directory that the chain file names as `media`, if any."""
    found = _chain(environ)
    return found.source.directory / found.media if found and found.media else None


def named(environ: Mapping[str, str]) -> str:
    """What the chain file names as `static`; empty where it names none."""
    found = _chain(environ)
    return found.static if found else ""


def static(environ: Mapping[str, str]) -> Path | None:
    """The directory that the chain file names as `static`, if it names one."""
    found = _chain(environ)
    if found is None or found.static in ("", COLLECTSTATIC):
        return None
    return found.source.directory / found.static


def _chain(environ: Mapping[str, str]) -> Chain | None:
    """The chain of the project, if any. What is wrong with one, the workers say."""
    path = chain.find(Path(environ.get("PROJECT_DIR", "")), environ.get("BASCULE_CHAIN", ""))
    try:
        return chain.load(path) if path else None
    except ChainError:
        return None


def make(environ: Mapping[str, str], slot: Path) -> int | None:
    """Collect what has to be collected, in local mode; return how many files there are.

    None where no chain file names any. Raises `CommandError`.
    """
    static = named(environ)
    if static == COLLECTSTATIC:
        (slot / _COLLECTED).mkdir()
        collect.run(slot / _COLLECTED, environ)
    return len(files(environ, slot)) if static else None


def files(environ: Mapping[str, str], supervisor_dir: Path) -> dict[str, Path]:
    """The files by their names under /static/; those that are hidden are none."""
    found = _chain(environ)
    if found is None or not found.static:
        return {}
    top = found.source.directory / found.static
    if found.static == COLLECTSTATIC:
        own = supervisor_dir / _COLLECTED
        top = own if own.is_dir() else IN_IMAGE
    paths = (path for path in top.rglob("*") if path.is_file())
    by_name = {path.relative_to(top).as_posix(): path for path in paths}
    return {name: path for name, path in by_name.items() if "/." not in f"/{name}"}
