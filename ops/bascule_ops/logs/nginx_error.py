"""Lines of nginx's error log, whose form nginx does not let one choose.

``2026/11/21 10:00:00 [error] 71#71: *45 MESSAGE, client: 203.0.113.9, server: _, request: "GET /
HTTP/1.1", upstream: "http://unix:/run/bascule/worker-0.sock:/", host: "example.org"``

There is no request id in it. The number after the star counts connections, and nginx's line for the
request has it under ``connection``: `bascule_ops.logs.story` puts the two together.
"""

from __future__ import annotations

import re
from typing import Any, Final

_LINE: Final = re.compile(
    r"(\d{4})/(\d\d)/(\d\d) (\d\d:\d\d:\d\d) \[(\w+)\] (\d+)#\d+: (?:\*(\d+) )?(.*)", re.DOTALL
)
# What it says before it has a log: at its start, and for `nginx -t`.
_EARLY: Final = re.compile(r"nginx: (?:\[(\w+)\] )?(.*)", re.DOTALL)
# The pairs that nginx adds to a message about a request, in this order, each where it is known.
_CONTEXT: Final = re.compile(
    r", client: (?P<client>[^,]*)"
    r"(?:, server: (?P<server>[^,]*))?"
    r'(?:, request: "(?P<request>.*?)")?'
    r'(?:, subrequest: ".*?")?'
    r'(?:, upstream: "(?P<upstream>.*?)")?'
    r'(?:, host: "(?P<host>.*?)")?'
    r'(?:, referrer: "(?P<referer>.*)")?$',
    re.DOTALL,
)
_LEVELS: Final = {
    "notice": "info",
    "warn": "warning",
    "crit": "critical",
    "alert": "critical",
    "emerg": "critical",
}


def time_of(raw: bytes) -> str:
    """The time of a line of the error log, to the second; empty where `raw` is none."""
    if not (raw[:1].isdigit() and raw[19:21] == b" ["):
        return ""
    match = _LINE.match(raw.decode("utf-8", "replace"))
    return _time(match) if match else ""


def parsed(text: str) -> dict[str, Any] | None:
    """The record of a line of the error log; None where `text` is none."""
    if match := _LINE.fullmatch(text):
        record = {"time": _time(match)} | _record(match[5], match[8])
        record["pid"] = int(match[6])
        if match[7]:
            record["connection"] = int(match[7])
        return record
    if match := _EARLY.fullmatch(text):
        return _record(match[1] or "emerg", match[2])
    return None


def _time(match: re.Match[str]) -> str:
    return f"{match[1]}-{match[2]}-{match[3]}T{match[4]}.000Z"


def _record(level: str, message: str) -> dict[str, Any]:
    record: dict[str, Any] = {
        "level": _LEVELS.get(level, level),
        "event": "nginx_error",
        "worker": "nginx",
        "message": message,
    }
    if context := _CONTEXT.search(message):
        record["message"] = message[: context.start()]
        record |= {key: value for key, value in context.groupdict().items() if value}
    return record
