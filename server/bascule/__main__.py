"""``python -m bascule MODULE:CALLABLE``: the same as the command ``bascule``."""

from __future__ import annotations

import sys

from bascule.command import main

if __name__ == "__main__":
    sys.exit(main())
