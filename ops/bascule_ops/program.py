"""What the commands are called by whoever uses them.

Their one name is ``basculectl up``. In the checkout the doors in ops/ are shorter, and say in the
environment that it was they who were opened: then it is ``ops/up``. Messages are written with the
doors' names.
"""

from __future__ import annotations

import os
import re
from typing import Final

from bascule_ops.files import RUNBOOKS

VARIABLE: Final = "BASCULECTL_DOOR"
# Where a command has itself run in a container: the version of the one outside.
CALLER: Final = "BASCULECTL_VERSION"
DOOR: Final = "ops/"
PROGRAM: Final = "basculectl"
COMMANDS: Final = (
    *("up", "down", "restart", "deploy", "rollback", "scale"),
    *("status", "running", "logs", "requests", "slow", "top", "report"),
    *("block", "unblock", "certificate", "health", "list"),
)
_COMMAND: Final = re.compile(rf"\bops/({'|'.join(COMMANDS)})\b")
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
    return _COMMAND.sub(lambda written: named(written[1]), text)
