"""The application inside its chain, for any WSGI server: `app.wsgi:application`.

The environment variable BASCULE_CHAIN names another chain file, relative to the working directory.
A wrong chain raises `middleware.chain.ChainError` on import, whose text is the whole explanation.
"""

from __future__ import annotations

import os
from pathlib import Path

from middleware import chain

application = chain.build(
    chain.load(Path(os.environ.get("BASCULE_CHAIN") or Path(__file__).with_name("chain.toml")))
)
