"""What the commands are called by whoever uses them.

Their one name is ``basculectl up``. In the checkout the doors in ops/ are shorter, and say in the
environment that it was they who were opened: then it is ``ops/up``.
"""

from __future__ import annotations

import os
import re
from typing import Final

VARIABLE: Final = "BASCULECTL_DOOR"
DOOR: Final = "ops/"
PROGRAM: Final = "basculectl"
COMMANDS: Final = (
    *("up", "down", "status", "running", "logs", "requests", "slow", "top", "report"),
    *("block", "unblock", "certificate", "health"),
)
_WRITTEN: Final = re.compile(rf"\bops/(?=(?:{'|'.join(COMMANDS)})\b)")


def named(command: str) -> str:
    """How the user calls that command: ``ops/up``, ``basculectl up``."""
    return f"{os.environ.get(VARIABLE, DOOR)}{command}"


def spelled(text: str) -> str:
    """`text` with ``ops/up`` and the like in the user's words."""
    return _WRITTEN.sub(os.environ.get(VARIABLE, DOOR), text)
