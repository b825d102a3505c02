"""An XML-RPC interface of supervisord: what the log has lost (`log_writing`)."""

from __future__ import annotations

import json
from typing import Final

from bascule_ops.supervision.log_writing import TALLY, Tally

STANDARD_ERROR: Final = 2


class LogInterface:
    """The method ``log.lost``."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def lost(self) -> str:
        """Return what the present file and the one before it are without, as a JSON object."""
        self._tally.try_again(STANDARD_ERROR)
        return json.dumps({"now": self._tally.now, "aside": self._tally.aside})


def make_log_interface(_supervisord: object, **_: str) -> LogInterface:
    """Make the interface; supervisord calls this by its configuration."""
    return LogInterface(TALLY)
