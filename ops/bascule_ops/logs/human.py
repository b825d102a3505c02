"""A record as a line for a person."""

from __future__ import annotations

import os.path
import re
from typing import Final

from bascule_ops.logs import trace
from bascule_ops.logs.moments import shown
from bascule_ops.logs.record import Record, is_request
from bascule_ops.text.colour import Paint
from bascule_ops.text.escape import visible

_COLOURS: Final = {"warning": "yellow", "error": "red", "critical": "red", "debug": "faint"}
# What the line says in a place of its own, or what repeats its message.
_TOLD: Final = {"time", "level", "event", "worker", "message", "request_id", "logger"}
_REPEATED: Final = {
    "slow_call": {"frames", "location", "method", "path"},
    "hung_request": {"method", "path", "peer", "age_s"},
    "stream_ended": {"method", "path", "peer"},
    "exception": {"method", "path"},
    "application_error": {"method", "path"},
    "rate_limited": {"method", "path", "address", "limit", "kept_back"},
    "process_state": {"process"},
    "nginx_error": {"client", "server", "host", "pid"},
}
_SECONDS: Final = re.compile(r"[0-9]{1,9}\.[0-9]{3}")
# Texts of several lines, which follow the line.
_LONG: Final = ("stack", "exception", "last_words")


def counted(number: int, what: str) -> str:
    """``1 request``, ``2 requests``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def line(record: Record, paint: Paint) -> str:
    """Time, level, writer, what; the traceback on lines of its own."""
    level = str(record.get("level", ""))
    time = str(record["time"]).replace("T", " ").removesuffix("Z")
    head = f"{visible(time)} {visible(level).upper():<8} {visible(writer(record)):<10}"
    request_id = visible(record.get("request_id") or "")
    text = f"{head} {what(record)}" + (f"  {paint('dim', request_id)}" if request_id else "")
    if is_request(record):
        text = paint(status_colour(record), text) if record["status"] >= 400 else text
    else:
        text = paint(_COLOURS.get(level, ""), text)
    return "\n".join([text, *(paint("faint", f"    {each}") for each in details(record))])


def writer(record: Record) -> str:
    """Who wrote the line: ``worker 1``, or a name such as ``nginx``."""
    worker = str(record.get("worker", "-"))
    return f"worker {worker}" if worker.isdigit() else worker


def what(record: Record) -> str:
    """What the line says, in one line, without the time and who says it."""
    event = str(record["event"])
    if is_request(record):
        return _request(record)
    message = visible(record.get("message", ""))
    hidden = _TOLD | set(_LONG) | _REPEATED.get(event, set())
    pairs = [
        f"{visible(key)}={visible(value)}" for key, value in record.items() if key not in hidden
    ]
    name = "" if event in {"log", "output"} else f"{visible(event)}: "
    logger = f"[{visible(record['logger'])}] " if event == "log" and "logger" in record else ""
    return f"{name}{logger}{message}" + (f"  ({', '.join(pairs)})" if pairs else "")


def details(record: Record) -> list[str]:
    """The lines of a traceback and the like."""
    lines: list[str] = []
    for key in _LONG:
        value = record.get(key, "")
        lines += map(str, value) if isinstance(value, list) else trace.folded(str(value))
    return [visible(each).rstrip() for each in lines]


def status_colour(record: Record) -> str:
    """The colour of a request's status."""
    status = record["status"]
    return "red" if status >= 500 else "yellow" if status >= 400 else "green"


def attempts(record: Record) -> list[str]:
    """What nginx got from each worker that it asked: ``worker-0: 502 after 1 ms``."""
    columns = [
        str(record.get(key, "")).split(", ")
        for key in ("upstream", "upstream_status", "upstream_time")
    ]
    told = []
    for address, status, time in zip(*columns, strict=False):
        if address:
            name = os.path.basename(address).removesuffix(".sock")  # noqa: PTH119 (no path: a URL)
            after = f" after {shown(float(time))}" if _SECONDS.fullmatch(time) else ""
            told.append(f"{visible(name)}: {visible(status)}{after}")
    return told


def _request(record: Record) -> str:
    asked = f"{visible(record.get('method', '-'))} {visible(record.get('target', '-'))}"
    took = shown(record["duration_ms"] / 1000)
    parts = [f"{asked} {record['status']}", f"{record['bytes']} B", took]
    parts += filter(None, [visible(record.get("remote_addr", "")), ", ".join(attempts(record))])
    return "  ".join(parts)
