"""A line of the log as a record: a mapping with `time`, `level` and `event`, whatever the line was.

Most lines are JSON objects already. Two kinds are not, and get the same form here: nginx's error
log, whose form is fixed (`bascule_ops.logs.nginx_error`), and what a process prints past the log,
such as the interpreter's last words (event ``output``). No line is dropped for its form.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, TypeAlias

from bascule_ops.logs import nginx_error

Record: TypeAlias = dict[str, Any]

# What every line begins with, whoever wrote it.
TIME: Final = rb"\d{4}-[01]\d-[0-3]\dT[012]\d:[0-5]\d:[0-5]\d\.\d{3}Z"
_TIME: Final = re.compile(rb'\{"time": ?"(%b)"' % TIME)
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


def is_request(record: Record) -> bool:
    """Whether the record is one of a request, as nginx and the server write them.

    An application may write lines with the same event and anything in them.
    """
    return (
        record["event"] == "request"
        and type(record.get("status")) is int
        and type(record.get("bytes")) is int
        and type(record.get("duration_ms")) in (int, float)
    )


def parsed(raw: bytes, before: str = "") -> Record:
    """The record of a line.

    Args:
        raw: the line, cleaned.
        before: the time of the line before, for one that has none of its own.
    """
    text = raw.decode("utf-8", "replace")
    if text.startswith("{"):
        try:
            record: Record = json.loads(text)
        except ValueError:
            pass
        else:
            if isinstance(record.get("event"), str):
                # An application may have given a time of its own, by `extra` and in any form.
                record["time"] = time_of(raw) or before
                return record
    if error := nginx_error.parsed(text):
        return {"time": before} | error
    return {"time": before, "level": "info", "event": "output", "message": text}
