"""The last errors of this process, kept for who asks what went wrong of late."""

from __future__ import annotations

import logging
import traceback
from typing import Any, Final

from bascule.told.event_log import timestamp

KEPT: Final = 20
# Characters of a message; an error may quote what it failed on.
MESSAGE_SIZE: Final = 1000


class RecentErrors(logging.Handler):
    """Keeps the last records at ERROR and above; to be added to the root logger.

    Attributes:
        records: ``time``, ``level``, ``event``, ``message`` and ``request_id`` of each, newest
            last. Replaced as a whole, so that any thread may read it at any time.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: tuple[dict[str, Any], ...] = ()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record; ``logging`` calls this by one thread at a time."""
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
            "level": record.levelname.lower(),
            "event": getattr(record, "event", "log"),
            "message": message[:MESSAGE_SIZE],
            "request_id": str(getattr(record, "request_id", "")),
        }
        self.records = (*self.records, error)[-KEPT:]
