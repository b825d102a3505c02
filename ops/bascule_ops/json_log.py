"""Log lines in the format that the server, its workers and nginx share."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime


def line(level: str, event: str, message: str, **more: object) -> str:
    """One JSON object, ended by a newline; `time` is now, in UTC (RFC 3339)."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    record: dict[str, object] = {
        "time": now,
        "level": level,
        "event": event,
        "worker": "supervise",
        "message": message,
    }
    return json.dumps(record | more, ensure_ascii=False) + "\n"


def spoken(text: bytes, speaker: str) -> bytes:
    """A line of the log for what somebody printed; what is one already stays."""
    if text.startswith(b"{"):
        with suppress(ValueError):
            if {"time", "event"} <= set(json.loads(text)):
                return text + b"\n"
    return line("info", "output", text.decode("utf-8", "replace"), worker=speaker).encode()
