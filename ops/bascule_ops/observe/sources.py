"""The parts of a stack that can be asked, each in its own language.

Every function here returns within its time limit or raises `SourceError`.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError
from xmlrpc.client import Error as XmlRpcError
from xmlrpc.client import Fault

from bascule_ops import proc
from bascule_ops.observe.asking import SilentError, SourceError, connect, read_to_end
from bascule_ops.supervision import failures, slots
from bascule_ops.supervision.client import (
    ENDED,
    SHUTDOWN_STATE,
    SUCCESSOR,
    WORKER,
    WORKERS,
    ProcessInfo,
    Supervisor,
    workers,
)

# What stub_status answers (https://nginx.org/en/docs/http/ngx_http_stub_status_module.html).
STUB_STATUS = re.compile(
    r"Active connections: (?P<active>\d+)\s+"
    r"server accepts handled requests\s+"
    r"(?P<accepted>\d+) (?P<handled>\d+) (?P<requests>\d+)\s+"
    r"Reading: (?P<reading>\d+) Writing: (?P<writing>\d+) Waiting: (?P<waiting>\d+)"
)
NGINX_COUNTERS = ("active", "reading", "writing", "waiting", "accepted", "handled", "requests")
STOPS = "it is being stopped"
GONE = "its socket is not there"
UNHEARD = "nobody listens on its socket"
LOST = "it has ended, and left its workers"  # the one of local mode that looks after them
# A body that nginx writes to its disk, as it does with uploads (nginx/templates/40-status...).
SPOOLED = b"x" * 4096
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
    """nginx's counters, and how many workers it knows; each is None where it does not tell."""
    status, answer = _asked(address, b"GET /-/nginx HTTP/1.0\r\nHost: localhost\r\n\r\n", limit)
    if status not in ("200", "404"):
        raise SourceError(f"it answers with status {status or 'none'}")
    found = STUB_STATUS.search(answer)
    counters = {name: int(found[name]) if found else None for name in NGINX_COUNTERS}
    status, answer = _asked(address, b"GET /-/workers HTTP/1.0\r\nHost: localhost\r\n\r\n", limit)
    number = answer.rpartition("\r\n\r\n")[2]
    known = int(number) if status == "200" and number.isdecimal() else None
    return {"up": True, "workers": known, **counters}


def spool(address: str, limit: float) -> dict[str, Any]:
    """Whether nginx can keep an upload until it is complete: it is given one.

    Its disk is not to be seen from another container, and that there is room does not say that
    nginx may write there. An nginx whose configuration is older than this has no such place.
    """
    head = f"POST /-/spool HTTP/1.0\r\nHost: localhost\r\nContent-Length: {len(SPOOLED)}\r\n\r\n"
    status, _ = _asked(address, head.encode() + SPOOLED, limit)
    return {"works": status != "500", "status": status}


def _asked(address: str, request: bytes, limit: float) -> tuple[str, str]:
    """The status and the whole of nginx's answer."""
    deadline = time.monotonic() + limit
    with connect(address, deadline) as sock:
        sock.settimeout(limit)
        sock.sendall(request)
        answer = read_to_end(sock, deadline).decode("latin-1")
    return "".join(answer.split(" ", 2)[1:2]), answer


def processes(supervisor_dirs: Sequence[Path], limit: float) -> list[dict[str, Any]]:
    """Every process that a supervisord looks after, but for other ones (`slots`).

    Of several supervisords the last looks after the others.
    """
    deadline = time.monotonic() + limit
    others = set(map(slots.program, slots.SLOTS))
    found: list[dict[str, Any]] = []
    for supervisor_dir in reversed(supervisor_dirs):
        try:
            with _supervisor(supervisor_dir, deadline - time.monotonic()) as supervisor:
                infos = [each for each in supervisor.processes() if each["group"] not in others]
        except SourceError as error:
            if supervisor_dir != supervisor_dirs[-1] and str(error) in (GONE, UNHEARD):
                raise SourceError(LOST) from None
            raise
        infos = workers(infos) + [each for each in infos if each["group"] != WORKERS]
        failed = _by_worker(failures.read(supervisor_dir))
        found = [_process(each, failed.get(_name(each), [])) for each in infos] + found
    return found


def lost_log(supervisor_dir: Path, limit: float) -> dict[str, Any] | None:
    """What the present log file is without; None where that is nothing."""
    try:
        with _supervisor(supervisor_dir, limit) as supervisor:
            now: dict[str, Any] = supervisor.lost_log()["now"]
    except SourceError:
        return None  # that supervisord does not answer is another question's to tell
    if not now["lines"]:
        return None
    return {"lines": now["lines"], "since": rfc3339(now["since"]), "why": now["why"]}


@contextlib.contextmanager
def _supervisor(supervisor_dir: Path, limit: float) -> Iterator[Supervisor]:
    """supervisord, asked; raises `SourceError` for whatever keeps it from answering."""
    supervisor = Supervisor(f"{supervisor_dir}/supervisor.sock", timeout=limit)
    try:
        with contextlib.closing(supervisor):
            yield supervisor
    except TimeoutError:
        why = proc.why_silent(supervisord(supervisor_dir))
        words = f"no answer within {limit:g} s"
        raise SilentError(f"{words}; {why}" if why else words) from None
    except FileNotFoundError:
        raise SourceError(GONE) from None
    except ConnectionRefusedError:
        raise SourceError(UNHEARD) from None
    except Fault as fault:
        stops = fault.faultCode == SHUTDOWN_STATE
        raise SourceError(STOPS if stops else f"it refuses: {fault}") from None
    except XmlRpcError as error:
        raise SourceError(f"it refuses: {error}") from None
    except (HTTPException, ExpatError) as error:
        raise SourceError(f"it hung up, or does not speak XML-RPC: {error!r}") from None


def _name(info: ProcessInfo) -> str:
    """What a process is called: a worker by its number, whichever of its programs it is."""
    return f"{info['group']}:{info['name']}".replace(SUCCESSOR, WORKER)


def _by_worker(failed: Mapping[str, list[failures.Failure]]) -> dict[str, list[failures.Failure]]:
    """The unexpected ends of processes by `_name`, oldest first."""
    found: dict[str, list[failures.Failure]] = {}
    for name, ends in failed.items():
        found.setdefault(name.replace(SUCCESSOR, WORKER), []).extend(ends)
    return {name: sorted(ends, key=lambda end: end["time"]) for name, ends in found.items()}


def _process(info: ProcessInfo, failed: list[failures.Failure]) -> dict[str, Any]:
    name = info["name"] if info["name"] == info["group"] else _name(info)
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


def supervisord(supervisor_dir: Path) -> int:
    """The process that supervisord is, by its own file; 0 where none is known."""
    try:
        return int((supervisor_dir / "supervisord.pid").read_bytes())
    except (OSError, ValueError):
        return 0


def stopped(supervisor_dir: Path) -> list[dict[str, Any]]:
    """The parts of the stack that are stopped (SIGSTOP), by what the kernel tells."""
    pid = supervisord(supervisor_dir)
    return [part._asdict() for part in proc.stopped(pid)] if pid else []
