"""The last errors of this process, kept for who asks what went wrong of late."""

from __future__ import annotations

import logging
import traceback
from collections import deque
from typing import Any, Final

from bascule.told.event_log import OwnHandler, level_name, timestamp

KEPT: Final = 20
# Characters of a message; an error may quote what it failed on.
MESSAGE_SIZE: Final = 1000


class RecentErrors(OwnHandler):
    """Keeps the last records at ERROR and above.

    To be added to the root logger for those of the application, and told of the server's own
    (``event_log.add_listener``).
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._records: deque[dict[str, Any]] = deque(maxlen=KEPT)

    @property
    def records(self) -> tuple[dict[str, Any], ...]:
        """``time``, ``level``, ``event``, ``message``, ``request_id`` of each, newest last."""
        return tuple(self._records.copy())  # a single step for the interpreter

    def note(self, record: logging.LogRecord) -> None:
        """Keep a record of the server's own, if it is an error."""
        if record.levelno >= self.level:
            self.emit(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record; any thread may."""
        try:
            message = record.getMessage()
        except Exception:  # its arguments do not fit; the log's own handler says so
            message = str(record.msg)
        if record.exc_info and record.exc_info[0] is not None:
            # What stands in the last line of the traceback, which itself is in the log.
            *_, raised = traceback.format_exception_only(*record.exc_info[:2])
            message = f"{message}: {raised.strip()}"
        error = {
            "time": timestamp(record.created),
            "level": level_name(record),
            "event": getattr(record, "event", "log"),
            "message": message[:MESSAGE_SIZE],
            "request_id": str(getattr(record, "request_id", "")),
        }
        self._records.append(error)
