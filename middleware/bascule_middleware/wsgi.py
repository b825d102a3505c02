"""The application inside its chain, for any WSGI server: `bascule_middleware.wsgi:application`.

The environment variable BASCULE_CHAIN names the chain file, relative to the working directory.
Without it the file is `chain.toml` in the working directory, else `app/chain.toml`. A chain that is
wrong or not there raises `bascule_middleware.chain.ChainError` on import, whose text is the whole
explanation.

The working directory, where the project is, goes on the path as servers put it there; but only
when the machinery and the links that the chain names by a short name have been imported, so that
no module of the project takes the place of what those need.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bascule_middleware import chain

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

PLACES = ("chain.toml", "app/chain.toml")


def _file() -> Path:
    if named := os.environ.get("BASCULE_CHAIN"):
        return Path(named)
    found = next((path for path in map(Path, PLACES) if path.exists()), None)
    if found is None:
        remedy = "name the file in BASCULE_CHAIN, or the application in BASCULE_APP"
        raise chain.ChainError(f"there is no {' and no '.join(PLACES)} in {Path.cwd()}: {remedy}")
    return found


def _application() -> WSGIApplication:
    found = chain.load(_file())
    chain.import_links(found)
    if (project := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, project)
    return chain.build(found)


application = _application()
