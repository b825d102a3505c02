"""A line of the log as a record: a mapping with `time`, `level` and `event`, whatever the line was.

Most lines are JSON objects already. Two kinds are not, and get the same form here: nginx's error
log, whose form is fixed (`ops.log_reader.nginx_error`), and what a process prints past the log,
such as the interpreter's last words (event ``output``). No line is dropped for its form.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, TypeAlias

from ops.log_reader import nginx_error

Record: TypeAlias = dict[str, Any]

# Every writer puts the time first; 24 characters as in 2026-11-21T10:00:00.000Z.
_TIME: Final = re.compile(rb'\{"time": ?"([0-9T:.-]{23}Z)"')
# Some versions of docker compose clear the line on a terminal, also where there is none.
_CLEAR_LINE: Final = b"\x1b[2K"


def cleaned(raw: bytes) -> bytes:
    """A line without its end, and without what docker compose puts around it."""
    raw = raw.rstrip(b"\r\n")
    return raw.removeprefix(_CLEAR_LINE) if raw.startswith(b"\x1b") else raw


def time_of(raw: bytes) -> str:
    """The time of a line (RFC 3339, UTC, milliseconds); empty where it has none.

    Times of this one form can be compared as text.
    """
    if match := _TIME.match(raw):
        return match[1].decode("ascii")
    return nginx_error.time_of(raw)


def parsed(raw: bytes, before: str = "") -> Record:
    """The record of a line.

    Args:
        raw: the line, cleaned.
        before: the time of the line before, for one that has none of its own.
    """
    text = raw.decode("utf-8", "replace")
    if text.startswith("{"):
        try:
            record = json.loads(text)
        except ValueError:
            pass
        else:
            if isinstance(record.get("time"), str) and isinstance(record.get("event"), str):
                return dict(record)
    if error := nginx_error.parsed(text):
        return {"time": before} | error
    return {"time": before, "level": "info", "event": "output", "message": text}
