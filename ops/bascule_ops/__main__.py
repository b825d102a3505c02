"""``python -P -m bascule_ops COMMAND``: the same as ``basculectl COMMAND``."""

from __future__ import annotations

import sys

from bascule.beginning import imported


def main() -> int:
    """Run the command line; return the exit status."""
    return int(imported("bascule_ops.control.command_line").main())


if __name__ == "__main__":
    sys.exit(main())
