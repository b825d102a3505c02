"""The access log: one line a request, as JSON or in the combined format.

Lines are collected, and written a few milliseconds later at the most. Several are written at once,
but never more than the kernel keeps together, so that those of processes that share a pipe do not
mix.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from json.encoder import encode_basestring_ascii as json_string
from typing import Any, Final, NamedTuple, Protocol

from bascule import streams
from bascule.errors import StartError
from bascule.guard import Place
from bascule.http.request import Request
from bascule.told.event_log import Sink, timestamp

# What health checks say of themselves (bascule_ops.readiness, nginx/snippets/forwarded.conf).
HEALTH_FIELD: Final = "HTTP_X_BASCULE_HEALTH"
HEALTH_AGENT: Final = "bascule-health"
# Addresses of whoever is inside; over a unix socket there is none.
LOOPBACK: Final = frozenset({None, "", "127.0.0.1", "::1"})
MILLISECOND: Final = 0.001

_LINE: Final = Place("access_line", "A request has no line in the access log")


class Served(Protocol):
    """What a request was answered, or why it was not."""

    @property
    def request(self) -> Request | None:
        """Its head; None where the head was refused."""

    @property
    def environ(self) -> dict[str, Any]:
        """What the application saw, and may have changed (address, request id)."""

    @property
    def status(self) -> int:
        """The status code; 499, as nginx has it, where the client left before it was sent."""


class Refusal(NamedTuple):
    """A request that the server answered by itself; attributes as in ``Served``."""

    request: Request | None
    environ: dict[str, Any]
    status: int


# From (request, bytes sent, duration in seconds, time in seconds since the epoch) to a line.
Render = Callable[[Served, int, float, float], str]


class AccessLog:
    """Writes a line for each request.

    Args:
        path: a file's path, or ``-`` for standard output.
        log_format: ``json`` or ``combined``.
        worker: the name that each JSON line carries; empty for none.
        standard: what takes lines for standard output; the process's own when left out.

    Attributes:
        waiting: lines that are yet to be written.

    Raises:
        StartError: the file cannot be opened.
    """

    def __init__(
        self, path: str, log_format: str, worker: str, standard: Sink | None = None
    ) -> None:
        self._path = path
        self._standard = standard or streams.own(streams.STDOUT)
        self._render: Render = JsonLines(worker) if log_format == "json" else combined
        self._output: Sink | None = None
        self._file: streams.Output | None = None
        self.waiting: list[str] = []
        self._lock = threading.Lock()
        try:
            self.reopen()
        except OSError as error:
            raise StartError(f"cannot write the access log {path}: {error.strerror}") from error

    def write(self, served: Served, size: int, duration: float) -> None:
        """Add a line; any thread may.

        Args:
            served: the request.
            size: bytes sent, head and framing included.
            duration: seconds from the head's arrival to the response's last byte.
        """
        try:
            if HEALTH_FIELD in served.environ and is_healthy(served):
                return
            self.waiting.append(self._render(served, size, duration, time.time()))
        except Exception as error:  # an application may have left anything in the environ
            _LINE.note(error)

    def flush(self) -> None:
        """Write the lines that were added; a full disk or a closed pipe costs lines, no request."""
        if not self.waiting:
            return
        with self._lock:
            lines = self.waiting[:]
            del self.waiting[: len(lines)]
            lines.append("")
            if self._output is not None:
                self._output.write("\n".join(lines))

    def reopen(self) -> None:
        """Open the file anew, after it has been moved away."""
        self.flush()
        if self._path == "-":
            self._output = self._standard
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        opened = os.open(self._path, flags, 0o640)
        if self._file is None:
            self._output = self._file = streams.Output(opened)
        else:  # in one step: another thread may be writing
            os.dup2(opened, self._file.descriptor, inheritable=False)
            os.close(opened)


def is_healthy(served: Served) -> bool:
    """Return whether it is a successful health check of the stack's own, which is not logged.

    A client must not be able to hide. Health checks come over a unix socket, straight from this
    machine or through nginx, which sets the field for its own check and removes it from whatever
    clients send (nginx/snippets/forwarded.conf). A proxy that lets the field pass still tells
    where the request came from, and from elsewhere nothing is hidden.
    """
    environ = served.environ
    came_from = environ.get("HTTP_X_FORWARDED_FOR") or environ.get("REMOTE_ADDR")
    return (
        served.status < 400
        and environ.get("HTTP_USER_AGENT") == HEALTH_AGENT
        and not environ.get("REMOTE_PORT")  # a unix socket's peer has none
        and came_from in LOOPBACK
    )


class JsonLines:
    """One JSON object a line; its keys are those of the server's events (docs/server.md)."""

    def __init__(self, worker: str) -> None:
        worker = f'"worker": {json_string(worker)}, ' if worker else ""
        self._middle = f'", "level": "info", "event": "request", {worker}"request_id": '
        # The beginning of a millisecond (seconds since the epoch), and its text: many lines share
        # one.
        self._time = (0.0, "")

    def __call__(self, served: Served, size: int, duration: float, now: float) -> str:
        # Put together by hand, since json.dumps takes as long as the whole rest of a request.
        since, time_text = self._time
        if not 0.0 <= now - since < MILLISECOND:
            time_text = timestamp(now)
            self._time = (now // MILLISECOND * MILLISECOND, time_text)
        environ, request = served.environ, served.request
        request_id = environ.get("HTTP_X_REQUEST_ID", "")
        if type(request_id) is not str:  # an application may have left anything there
            request_id = ""
        asked = ""
        if request is not None:  # a method is a token, which needs no escaping
            asked = (
                f'"method": "{request.method}", "target": {json_string(request.target)}, '
                f'"protocol": "HTTP/1.{request.minor}", '
                f'"host": {_json(environ.get("HTTP_HOST", ""))}, '
                f'"user_agent": {_json(environ.get("HTTP_USER_AGENT", ""))}, '
            )
        return (
            f'{{"time": "{time_text}{self._middle}{json_string(request_id)}, '
            f'"remote_addr": {_json(environ.get("REMOTE_ADDR", ""))}, {asked}'
            f'"status": {served.status}, "bytes": {size}, '
            f'"duration_ms": {duration * 1000:.3f}}}'
        )


def _json(value: object) -> str:
    return json_string(value if isinstance(value, str) else str(value))


# What would end a quoted string or a line, or play with the terminal that shows it.
_UNSAFE: Final = re.compile(r'[^\x20-\x7e]|["\\]')


def _quoted(text: object) -> str:
    escaped = _UNSAFE.sub(lambda match: f"\\x{ord(match[0]):02x}", str(text))
    return f'"{escaped or "-"}"'


def combined(served: Served, size: int, duration: float, now: float) -> str:
    """Return a line in the combined log format of Apache's httpd and of nginx."""
    del duration  # the format has no place for it
    request, environ = served.request, served.environ
    line = ""
    if request:
        line = f"{request.method} {request.target} HTTP/1.{request.minor}"
    user = environ.get("REMOTE_USER", "")
    return (
        f"{environ.get('REMOTE_ADDR') or '-'} - {_quoted(user)[1:-1] if user else '-'} "
        f"[{time.strftime('%d/%b/%Y:%H:%M:%S +0000', time.gmtime(now))}] {_quoted(line)} "
        f"{served.status} {size} {_quoted(environ.get('HTTP_REFERER', ''))} "
        f"{_quoted(environ.get('HTTP_USER_AGENT', ''))}"
    )
