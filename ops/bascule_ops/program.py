"""What the commands are called by whoever uses them.

Their one name is ``basculectl up``. In the checkout the doors in ops/ are shorter, and say in the
environment that it was they who were opened: then it is ``ops/up``. Messages are written with the
doors' names. Some doors have no command yet: whoever has no checkout is told what does the same.
"""

from __future__ import annotations

import os
import re
from typing import Final

from bascule_ops.files import RUNBOOKS

VARIABLE: Final = "BASCULECTL_DOOR"
DOOR: Final = "ops/"
PROGRAM: Final = "basculectl"
COMMANDS: Final = (
    *("up", "down", "status", "running", "logs", "requests", "slow", "top", "report"),
    *("block", "unblock", "certificate", "health"),
)
# What does the same as a door without a command, though not without a pause.
_INSTEAD: Final = {"restart": ("down", "up")}
_COMMAND: Final = re.compile(rf"\bops/({'|'.join((*COMMANDS, *_INSTEAD))})\b")
_PAGE: Final = re.compile(r"\bops/runbooks/(?=\w+\.md)")


def prefix() -> str:
    """What comes before a command's name: ``ops/`` or ``basculectl ``."""
    return os.environ.get(VARIABLE) or DOOR


def named(command: str) -> str:
    """How the user calls that command: ``ops/up``, ``basculectl up``."""
    return f"{prefix()}{command}"


def spelled(text: str) -> str:
    """`text` with ``ops/up`` and the like as a command, and runbooks where the user has them."""
    if prefix() == DOOR:
        return text
    if RUNBOOKS.is_dir():
        text = _PAGE.sub(lambda _: f"{RUNBOOKS}/", text)

    def command(written: re.Match[str]) -> str:
        return " && ".join(map(named, _INSTEAD.get(written[1], (written[1],))))

    return _COMMAND.sub(command, text)
