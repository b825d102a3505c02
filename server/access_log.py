"""The access log: one line a request, as JSON or in the combined format.

A line is written with one ``write(2)``, so that lines of several threads, and of several
processes that share a pipe, do not mix.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from server.errors import StartError
from server.event_log import timestamp
from server.request import Request


@dataclass(frozen=True, slots=True)
class Served:
    """One request that has been answered, or was cut short.

    Attributes:
        request: its head; None where the head was refused.
        environ: what the application saw, and may have changed (``REMOTE_ADDR``).
        status: the status code that was sent; 499, as nginx has it, where the client left before.
        size: bytes sent, head and framing included.
        duration: seconds from the head's arrival to the response's last byte.
        request_id: the response's ``X-Request-ID``; empty for none.
    """

    request: Request | None
    environ: dict[str, Any]
    status: int
    size: int
    duration: float
    request_id: str


class AccessLog:
    """Writes a line for each request.

    Args:
        path: a file's path, or ``-`` for standard output.
        log_format: ``json`` or ``combined``.
        worker: the name that each JSON line carries; empty for none.

    Raises:
        StartError: the file cannot be opened.
    """

    def __init__(self, path: str, log_format: str, worker: str) -> None:
        self._path = path
        self._render: Callable[[Served, float], str]
        self._render = JsonLines(worker) if log_format == "json" else combined
        self._descriptor = -1
        try:
            self.reopen()
        except OSError as error:
            raise StartError(f"cannot write the access log {path}: {error.strerror}") from error

    def write(self, served: Served) -> None:
        """Write one line; a full disk or a closed pipe costs the line, never the request."""
        line = (self._render(served, time.time()) + "\n").encode()
        with contextlib.suppress(OSError):
            while line:
                line = line[os.write(self._descriptor, line) :]

    def reopen(self) -> None:
        """Open the file anew, after it has been moved away."""
        if self._path == "-":
            self._descriptor = sys.stdout.fileno()
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        opened = os.open(Path(self._path), flags, 0o640)
        if self._descriptor < 0:
            self._descriptor = opened
        else:  # in one step: another thread may be writing
            os.dup2(opened, self._descriptor, inheritable=False)
            os.close(opened)


class JsonLines:
    """One JSON object a line; its keys are those of the server's events (docs/server.md)."""

    def __init__(self, worker: str) -> None:
        self._worker = {"worker": worker} if worker else {}

    def __call__(self, served: Served, now: float) -> str:
        line: dict[str, Any] = {
            "time": timestamp(now),
            "level": "info",
            "event": "request",
            **self._worker,
            "request_id": served.request_id,
            "remote_addr": served.environ.get("REMOTE_ADDR", ""),
        }
        if request := served.request:
            line |= {
                "method": request.line.method,
                "target": request.line.target,
                "protocol": f"HTTP/1.{request.line.minor}",
                "host": request.variables.get("HTTP_HOST", ""),
                "user_agent": request.variables.get("HTTP_USER_AGENT", ""),
            }
        line |= {
            "status": served.status,
            "bytes": served.size,
            "duration_ms": round(served.duration * 1000, 3),
        }
        return json.dumps(line, default=str)


# What would end a quoted string or a line, or play with the terminal that shows it.
_UNSAFE: Final = re.compile(r'[^\x20-\x7e]|["\\]')


def _quoted(text: str) -> str:
    escaped = _UNSAFE.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
    return f'"{escaped or "-"}"'


def combined(served: Served, now: float) -> str:
    """Return a line in the combined log format of Apache's httpd and of nginx."""
    request = served.request
    variables = request.variables if request else {}
    line = ""
    if request:
        line = f"{request.line.method} {request.line.target} HTTP/1.{request.line.minor}"
    user = served.environ.get("REMOTE_USER", "")
    return (
        f"{served.environ.get('REMOTE_ADDR') or '-'} - {_quoted(user)[1:-1] if user else '-'} "
        f"[{time.strftime('%d/%b/%Y:%H:%M:%S +0000', time.gmtime(now))}] {_quoted(line)} "
        f"{served.status} {served.size} {_quoted(variables.get('HTTP_REFERER', ''))} "
        f"{_quoted(variables.get('HTTP_USER_AGENT', ''))}"
    )
