"""nginx's lines about requests, read without a parser of JSON: most of a log, and all of one form.

Only a line in exactly this form is (nginx/snippets/log_json.conf), and with nothing escaped in it.
Any other is JSON for `bascule_ops.logs.record`, which says the same of those that are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from bascule_ops.logs.record import TIME, Record

_TEXT: Final = rb'"([^"\\\x00-\x1f]*)"'
_NUMBER: Final = rb"(0|[1-9][0-9]{0,17})"
# The keys in their order, and which are numbers.
_KEYS: Final = (
    *("request_id", "connection", "remote_addr", "method", "target", "protocol", "host"),
    *("status", "bytes", "request_bytes", "duration_ms", "upstream", "upstream_status"),
    *("upstream_connect_time", "upstream_header_time", "upstream_time", "referer", "user_agent"),
)
_NUMBERS: Final = frozenset({"connection", "status", "bytes", "request_bytes", "duration_ms"})
# Those that somebody asks about.
_TOLD: Final = (
    *("remote_addr", "method", "target", "status", "bytes", "duration_ms", "upstream"),
    "user_agent",
)


def _pattern() -> bytes:
    parts = [rb'\{"time":"(%b)","level":"info","event":"request","worker":"nginx"' % TIME]
    for key in _KEYS:
        value = _NUMBER if key in _NUMBERS else _TEXT
        if key not in _TOLD:
            value = value.replace(b"(", b"(?:")
        parts.append(b',"%b":%b' % (key.encode(), value))
    return b"".join([*parts, rb"\}"])


matched: Final[Callable[[bytes], re.Match[bytes] | None]] = re.compile(_pattern()).fullmatch


def record(match: re.Match[bytes]) -> Record:
    """What a line that was `matched` says, as far as `_TOLD` goes."""
    time, address, method, target, status, size, duration, upstream, agent = match.groups()
    return {
        "time": time.decode("ascii"),
        "event": "request",
        "worker": "nginx",
        "remote_addr": address.decode("utf-8", "replace"),
        "method": method.decode("utf-8", "replace"),
        "target": target.decode("utf-8", "replace"),
        "status": int(status),
        "bytes": int(size),
        "duration_ms": int(duration),
        "upstream": upstream.decode("utf-8", "replace"),
        "user_agent": agent.decode("utf-8", "replace"),
    }
