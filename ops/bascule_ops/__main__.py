"""``python -P -m bascule_ops COMMAND``: the same as ``basculectl COMMAND``."""

from __future__ import annotations

import sys

from bascule_ops.control.command_line import main

if __name__ == "__main__":
    sys.exit(main())
