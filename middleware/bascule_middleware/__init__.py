"""The middleware chain: its links, each plain PEP 3333 middleware, and the loader of chain.toml."""

from __future__ import annotations

import os
import sys

# As in the server: a module of the project must not take the place of one that is needed here.
if sys.argv[:1] == ["-m"] and not sys.flags.safe_path and sys.path[:1] == [os.getcwd()]:
    del sys.path[0]
