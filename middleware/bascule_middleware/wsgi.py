"""The application inside its chain, for any WSGI server: `bascule_middleware.wsgi:application`.

The environment variable BASCULE_CHAIN names the chain file, relative to the working directory.
Without it the file is `chain.toml` in the working directory, else `app/chain.toml`. A chain that is
wrong or not there raises `bascule_middleware.chain.ChainError` on import, whose text is the whole
explanation.
"""

from __future__ import annotations

import os
from pathlib import Path

from bascule_middleware import chain


def _file() -> Path:
    found = chain.find(Path(), os.environ.get("BASCULE_CHAIN", ""))
    if found is None:
        remedy = "name the file in BASCULE_CHAIN, or the application in BASCULE_APP"
        places = " and no ".join(chain.PLACES)
        raise chain.ChainError(f"there is no {places} in {Path.cwd()}: {remedy}")
    return found


application = chain.build_in_project(chain.load(_file()))
