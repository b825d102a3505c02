"""Lines of a log, and the commands that read it, called in this process."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from typing import Any

import pytest
from bascule_ops.control.command_line import main

ID = "684785318de9501b85481aa9a930fee2"


@dataclass
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def call(command: str, *arguments: str) -> Done:
    """Run a command of the command line with its output going to a script."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("BASCULECTL_DOOR", "ops/")
        try:
            status = main([command, *arguments])
        except SystemExit as end:
            status = int(end.code or 0)
    out.flush()
    return Done(status, out.buffer.getvalue().decode(), err.getvalue())


def line(time: str, event: str = "log", worker: str = "0", level: str = "info", **more: Any) -> str:
    """A line as the server writes it; `time` is a time of day."""
    head = {"time": f"2026-11-21T{time}Z", "level": level, "event": event, "worker": worker}
    return json.dumps(head | more)


def request(time: str, **more: Any) -> str:
    """A line about a request, as nginx writes it unless `more` says otherwise."""
    usual = {
        "worker": "nginx",
        "request_id": ID,
        "connection": 7,
        "remote_addr": "203.0.113.9",
        "method": "GET",
        "target": "/slow?x=1",
        "protocol": "HTTP/1.1",
        "host": "example.org",
        "status": 200,
        "bytes": 274,
        "request_bytes": 83,
        "duration_ms": 300,
        "upstream": "unix:/run/bascule/worker-0.sock",
        "upstream_status": "200",
        "upstream_connect_time": "0.000",
        "upstream_header_time": "0.300",
        "upstream_time": "0.300",
        "referer": "",
        "user_agent": "curl/8.0",
    }
    text = line(time, "request", **(usual | more))
    if json.loads(text)["worker"] == "nginx":  # which leaves the spaces out
        return json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)
    return text
