"""What Bascule 0.1 called its modules, for messages only; to be removed in 0.3.

A project may have modules of these names. So nothing stands in for the old ones: where one is not
there, the message says what it is called. The chain knows the old names of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SUCCESSORS: Final[Mapping[str, str]] = {
    "app.wsgi": "bascule --chain FILE, or BASCULE_CHAIN=FILE and no BASCULE_APP",
    "server": "bascule",
    "server.cgi": "bascule.wsgi.cgi",
    "server.metrics": "bascule.told.metrics",
    "middleware": "bascule_middleware",
}


def successor(asked: str, error: BaseException) -> str:
    """Return what to write now, as the rest of a message; empty where that is not the matter.

    Args:
        asked: the module that was to be imported.
        error: what the import raised.
    """
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if not missing:
        return ""
    # Where a package is missing, that is named in place of the module in it.
    sought = (asked, missing) if asked.startswith(f"{missing}.") else (missing,)
    for old in sought:
        if new := SUCCESSORS.get(old):
            return f"; {old} of Bascule 0.1 is now {new} (docs/upgrading.md)"
    return ""
