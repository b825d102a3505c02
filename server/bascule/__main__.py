"""``python -m bascule MODULE:CALLABLE``: the same as the command ``bascule``."""

from __future__ import annotations

import sys

from bascule.beginning import imported


def main() -> int:
    """Run the command line; return the exit code."""
    return int(imported("bascule.command").main())


if __name__ == "__main__":
    sys.exit(main())
