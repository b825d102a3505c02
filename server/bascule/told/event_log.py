"""The server's own events and the application's log records, as lines of text or of JSON.

Everything goes through the standard library's ``logging``: the server logs events to the logger
``bascule.server``, and a handler on the root logger gives the application's records the same form.

A JSON line is one object with ``time`` (UTC, RFC 3339, milliseconds), ``level``, ``event``,
``logger``, ``message``, and, where there are any, ``worker``, ``request_id`` and the event's own
keys; a traceback is one string under ``exception``.
"""

from __future__ import annotations

import functools
import json
import logging
import sys
import threading
import time
from typing import Any, Final, TextIO

LOGGER: Final = logging.getLogger("bascule.server")

# What every record has; whatever else a record carries was given through `extra`.
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def timestamp(seconds: float) -> str:
    """Return seconds since the epoch as RFC 3339 in UTC, to the millisecond."""
    whole = int(seconds)
    return f"{_to_the_second(whole)}.{int((seconds - whole) * 1000):03d}Z"


@functools.lru_cache(maxsize=2)
def _to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def event(
    level: int, name: str, message: str, error: BaseException | None = None, **details: Any
) -> None:
    """Log one event of the server.

    Args:
        level: as in ``logging``.
        name: the event's name, stable, for machines.
        message: one sentence, for people.
        error: its traceback is logged.
        details: further keys of the line.
    """
    LOGGER.log(level, message, exc_info=error, extra={"event": name, **details})


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, worker: str) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": timestamp(record.created),
            "level": record.levelname.lower(),
            "event": "log",
            "logger": record.name,
        }
        if self._worker:
            line["worker"] = self._worker
        line["message"] = record.getMessage()
        line.update((key, value) for key, value in vars(record).items() if key not in _STANDARD)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """A line for a person: time, level, message; a traceback follows on lines of its own."""

    def __init__(self, worker: str) -> None:
        super().__init__()
        self._prefix = f"[{worker}] " if worker else ""

    def format(self, record: logging.LogRecord) -> str:
        text = (
            f"{timestamp(record.created)} {record.levelname.lower():<8}"
            f"{self._prefix}{record.getMessage()}"
        )
        if request_id := getattr(record, "request_id", ""):
            text += f" request_id={request_id}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        if stack := getattr(record, "stack", None):
            text += f"\n{stack}"
        return text


class ErrorStream:
    """``wsgi.errors``: whatever is written becomes log records, a line each (PEP 3333)."""

    def __init__(self) -> None:
        self._logger = logging.getLogger("wsgi.errors")
        self._thread = threading.local()  # two threads' half lines must not mix

    def write(self, text: str) -> int:
        partial = getattr(self._thread, "partial", "")
        *lines, self._thread.partial = (partial + text).split("\n")
        for line in lines:
            self._logger.error(line)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if getattr(self._thread, "partial", ""):
            self.write("\n")


def configure(log_format: str, level: str, worker: str, stream: TextIO | None = None) -> None:
    """Install the handler of the root logger.

    Args:
        log_format: ``json``, or anything else for text.
        level: the lowest level that is logged, as ``logging`` spells it, in lower case.
        worker: the name that each line carries; empty for none.
        stream: where lines go; standard error when left out.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(worker) if log_format == "json" else TextFormatter(worker))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
