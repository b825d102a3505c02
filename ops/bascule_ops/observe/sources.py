"""The parts of a stack that can be asked, each in its own language.

Every function here returns within its time limit or raises `SourceError`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xmlrpc.client import Error as XmlRpcError
from xmlrpc.client import Fault

from bascule_ops.observe.asking import SourceError, connect, read_to_end
from bascule_ops.supervision import failures
from bascule_ops.supervision.client import ENDED, ProcessInfo, Supervisor

# What stub_status answers (https://nginx.org/en/docs/http/ngx_http_stub_status_module.html).
STUB_STATUS = re.compile(
    r"Active connections: (?P<active>\d+)\s+"
    r"server accepts handled requests\s+"
    r"(?P<accepted>\d+) (?P<handled>\d+) (?P<requests>\d+)\s+"
    r"Reading: (?P<reading>\d+) Writing: (?P<writing>\d+) Waiting: (?P<waiting>\d+)"
)
NGINX_COUNTERS = ("active", "reading", "writing", "waiting", "accepted", "handled", "requests")
# Of supervisord: it answers all questions with this fault (supervisor.xmlrpc.Faults), and will end.
SHUTDOWN_STATE = 6
STOPS = "it is being stopped"
GONE = "its socket is not there"
# What a worker tells of itself (docs/server.md).
WORKER_KEYS = frozenset(
    {
        *("worker", "pid", "version", "python", "application", "started", "uptime_s", "state"),
        *("threads", "threads_busy", "waiting", "backlog_requests", "connections"),
        *("resident_bytes", "descriptors", "requests", "recent_errors", "slow_calls"),
        "internal_errors",
    }
)


def rfc3339(moment: float) -> str:
    """A time since the epoch, in UTC with milliseconds."""
    text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def worker_status(path: Path, limit: float) -> dict[str, Any]:
    """What a worker tells of itself over its status socket."""
    deadline = time.monotonic() + limit
    with connect(f"unix:{path}", deadline) as sock:
        answer = read_to_end(sock, deadline)
    try:
        document = json.loads(answer)
    except ValueError:
        raise SourceError("its answer is not JSON") from None
    missing = WORKER_KEYS - set(document) if isinstance(document, dict) else WORKER_KEYS
    if missing:
        raise SourceError(f"it runs another version: its answer lacks {', '.join(sorted(missing))}")
    return dict(document)


def nginx(address: str, limit: float) -> dict[str, Any]:
    """nginx's counters; each is None where this nginx has no stub_status."""
    deadline = time.monotonic() + limit
    with connect(address, deadline) as sock:
        sock.settimeout(limit)
        sock.sendall(b"GET /-/nginx HTTP/1.0\r\nHost: localhost\r\n\r\n")
        answer = read_to_end(sock, deadline).decode("latin-1")
    status = answer.split(" ", 2)[1:2]
    if status not in (["200"], ["404"]):
        raise SourceError(f"it answers with status {''.join(status) or 'none'}")
    found = STUB_STATUS.search(answer)
    counters = {name: int(found[name]) if found else None for name in NGINX_COUNTERS}
    return {"up": True, **counters}


def processes(supervisor_dir: Path, limit: float) -> list[dict[str, Any]]:
    """Every process that supervisord looks after."""
    supervisor = Supervisor(f"{supervisor_dir}/supervisor.sock", timeout=limit)
    try:
        with contextlib.closing(supervisor):
            found = supervisor.processes()
    except TimeoutError:
        raise SourceError(f"no answer within {limit:g} s") from None
    except FileNotFoundError:
        raise SourceError(GONE) from None
    except ConnectionRefusedError:
        raise SourceError("nobody listens on its socket") from None
    except Fault as fault:
        stops = fault.faultCode == SHUTDOWN_STATE
        raise SourceError(STOPS if stops else f"it refuses: {fault}") from None
    except XmlRpcError as error:
        raise SourceError(f"it refuses: {error}") from None
    failed = failures.read(supervisor_dir)
    return [_process(info, failed.get(f"{info['group']}:{info['name']}", [])) for info in found]


def _process(info: ProcessInfo, failed: list[failures.Failure]) -> dict[str, Any]:
    name = info["name"] if info["name"] == info["group"] else f"{info['group']}:{info['name']}"
    ended = info["state"] in ENDED
    since = info["stop"] if ended else info["start"]
    last_error = info["spawnerr"] or None
    if failed:
        words = failed[-1]["words"] or "it ended without a word"
        last_error = f"{rfc3339(failed[-1]['time'])} {words}"
    now = time.time()
    recent = [rfc3339(each["time"]) for each in failed if now - each["time"] < failures.RECENT]
    return {
        "name": name,
        "state": info["statename"],
        "pid": info["pid"] or None,
        "since": rfc3339(since) if since else None,
        "uptime_s": max(0, info["now"] - info["start"]) if info["pid"] else 0,
        "exit_status": info["exitstatus"] if ended and info["stop"] else None,
        "last_error": last_error,
        "recent_failures": len(recent),
        "recent_ends": recent,
    }


def disks(paths: tuple[Path, ...]) -> list[dict[str, Any]]:
    """The file systems that `paths` are on, each once."""
    found: dict[int, dict[str, Any]] = {}
    for path in paths:
        try:
            device = path.stat().st_dev
            room = os.statvfs(path)
        except OSError:
            continue  # that it is missing is another check's to tell
        if device not in found:
            found[device] = {
                "path": str(path),
                "free_bytes": room.f_bavail * room.f_frsize,
                "total_bytes": room.f_blocks * room.f_frsize,
            }
    return list(found.values())


def written_to(run_dir: Path, supervisor_dir: Path) -> tuple[Path, ...]:
    """Where a stack writes, or its container's engine does (below the code)."""
    code = Path(__file__).parents[2]
    return (run_dir, supervisor_dir, Path(tempfile.gettempdir()), code)
