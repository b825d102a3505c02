"""The id of the request that a thread is working for, found without anybody having noted it.

A request pays nothing for it: only who logs looks, and looks at his own stack, where the call of
the application is. Threads that the application starts have no such call on theirs, and no id.
"""

from __future__ import annotations

import logging
import sys
from types import FrameType
from typing import Final

from bascule.engine.connection import Connection
from bascule.engine.loop import Loop

_CALL: Final = Connection.call.__code__
# With one thread a call that waits for its client turns the loop: what happens there is not its.
_POLL: Final = Loop.poll.__code__


def request_id() -> str:
    """Return the id of the request that the calling thread works for; empty for none."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code is not _POLL:
        if frame.f_code is _CALL:
            connection = frame.f_locals["self"]
            return connection.request_id if isinstance(connection, Connection) else ""
        frame = frame.f_back
    return ""


class RequestIds(logging.Filter):
    """Gives each record the ``request_id`` of its request, unless it has one; drops none.

    To be added to handlers: they run on the thread that logs, and have records of all loggers.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Look, and let the record pass."""
        if not hasattr(record, "request_id") and (found := request_id()):
            record.request_id = found
        return True
