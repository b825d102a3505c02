"""Where the static files of a generation are, by what its chain file names as `static`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bascule_middleware import chain
from bascule_middleware.chain import ChainError

from bascule_ops.static import collect

COLLECTSTATIC: Final = "collectstatic"
# Where that was collected to: when the image was built, or beside a generation's supervisord.
IN_IMAGE: Final = Path("/opt/bascule/static")
_COLLECTED: Final = "collected"


def named(environ: Mapping[str, str]) -> tuple[str, Path]:
    """What the chain file of the project says, and the directory that it is in.

    Empty where there is none. What is wrong with one, the workers say.
    """
    root = Path(environ.get("PROJECT_DIR", ""))
    try:
        path = chain.find(root, environ.get("BASCULE_CHAIN", ""))
        return (chain.load(path).static if path else "", path.parent if path else root)
    except ChainError:
        return "", root


def make(environ: Mapping[str, str], slot: Path) -> int | None:
    """Collect what has to be collected, in local mode; return how many files there are.

    None where no chain file names any. Raises `CommandError`.
    """
    static, _ = named(environ)
    if static == COLLECTSTATIC:
        (slot / _COLLECTED).mkdir()
        collect.run(slot / _COLLECTED, environ)
    return len(files(environ, slot)) if static else None


def files(environ: Mapping[str, str], supervisor_dir: Path) -> dict[str, Path]:
    """The files by their names under /static/; those that are hidden are none."""
    static, directory = named(environ)
    if not static:
        return {}
    top = directory / static
    if static == COLLECTSTATIC:
        own = supervisor_dir / _COLLECTED
        top = own if own.is_dir() else IN_IMAGE
    found = (path for path in top.rglob("*") if path.is_file())
    by_name = {path.relative_to(top).as_posix(): path for path in found}
    return {name: path for name, path in by_name.items() if "/." not in f"/{name}"}
