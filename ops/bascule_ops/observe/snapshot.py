"""One look at a whole stack, as a document that JSON can carry.

Everybody is asked at the same time and nobody is waited for longer than `LIMIT`: the
snapshot of a stack in which everything hangs says so, in time.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from bascule.version import __version__

from bascule_ops import proc, program
from bascule_ops.observe import certificates, checks, counters, disks, memory, sources
from bascule_ops.observe.asking import SilentError, SourceError, ask_all
from bascule_ops.observe.settings import Settings
from bascule_ops.supervision import operation

# In the environment, from who can see it: what was cut off, as `process_checks.cut_off` reads it.
CUT_OFF: Final = "BASCULECTL_CUT_OFF"
# The same of the Procfile's processes, which with containers have containers of their own.
PROCESSES: Final = "BASCULECTL_PROCESSES"
LIMIT: Final = 1.7  # seconds for all parts together: the whole must be there within 2
# For who asks once, and would rather wait than miss a worker whose interpreter is busy: within 5 s.
PATIENT_LIMIT: Final = 3.0
ANSWER_SHARE: Final = 0.8  # of that, for each: workers whose threads all hang need milliseconds


def take(settings: Settings, limit: float = LIMIT) -> dict[str, Any]:
    """The state of the stack now, judged; never later than 2 s from now.

    `limit` is for whoever has more time, in seconds.

    Its keys are described in docs/operations.md, under "The snapshot".
    """
    document = _document(settings, ask_all(_questions(settings, limit * ANSWER_SHARE), limit))
    document["checks"] = checks.check(document)
    document["healthy"] = all(check["ok"] for check in document["checks"])
    return document


def unasked(settings: Settings, why: str) -> dict[str, Any]:
    """The state of a stack of which no part can be asked; it is the caller's to judge it."""
    return _document(settings, dict.fromkeys(_questions(settings, 0), SourceError(why)))


def _document(settings: Settings, answers: dict[str, Any]) -> dict[str, Any]:
    errors: dict[str, str | None] = {}

    def got(name: str, default: Any) -> Any:
        answer = answers.get(name)
        if isinstance(answer, SourceError):
            errors[name] = str(answer)
            return default
        errors[name] = None
        return default if answer is None else answer

    processes = got("supervisor", [])
    counted = got("metrics", {})
    document: dict[str, Any] = {
        "time": sources.rfc3339(time.time()),
        "version": __version__,
        "mode": settings.mode,
        "command_prefix": program.prefix(),
        "healthy": False,
        "runs": any(_is_there(answers.get(name)) for name in _answerers(settings)),
        "checks": [],
        "nginx": got("nginx", dict.fromkeys((*sources.NGINX_COUNTERS, "workers")))
        | {"up": not errors["nginx"] if settings.nginx else None},
        "processes": processes + json.loads(os.environ.get(PROCESSES) or "[]"),
        "stopped": got("stopped", []),
        "operation": got("operation", None),
        "cut_off": json.loads(os.environ.get(CUT_OFF) or "null"),
        "workers": _workers(settings, answers, counted, processes),
        "retired": [],
        "sockets": got("sockets", []),
        "disk": got("disk", []),
        "memory": got("memory", None),
        "spool": got("spool", None),
        "certificates": got("certificates", []),
        "served_certificate": got("served certificate", None),
        "lost_log": got("lost log", None),
        "errors": errors,
    }
    shown = {worker["worker"] for worker in document["workers"]}
    document["retired"] = [
        {"worker": name, "metrics": values} for name, values in counted.items() if name not in shown
    ]
    return document


def runs(document: dict[str, Any]) -> bool:
    """Whether anything of the stack is there at all, be it that it does not answer."""
    return bool(document["runs"] or document["stopped"])


def _answerers(settings: Settings) -> list[str]:
    """The questions that a process of the stack answers by itself."""
    return ["supervisor", "nginx", *(f"worker {name}" for name in _names(settings))]


def _is_there(answer: Any) -> bool:
    """Whether somebody answered a question, or took it and kept silent."""
    if isinstance(answer, SourceError):
        return isinstance(answer, SilentError)
    return bool(answer)


def _names(settings: Settings) -> list[str]:
    return [*map(str, range(settings.workers))]


def _status_socket(settings: Settings, worker: str) -> Path:
    return settings.run_dir / f"worker-{worker}.status"


def _questions(settings: Settings, limit: float) -> dict[str, Callable[[], Any]]:
    run_dir, supervisor_dir = settings.run_dir, settings.supervisor_dir
    outermost = settings.supervisor_dirs[-1]
    questions: dict[str, Callable[[], Any]] = {
        "supervisor": partial(sources.processes, settings.supervisor_dirs, limit),
        "operation": partial(operation.read, supervisor_dir),
        "metrics": partial(counters.read, run_dir / "metrics"),
        "sockets": partial(_sockets, run_dir),
        "stopped": partial(sources.stopped, outermost),
        "lost log": partial(sources.lost_log, outermost, limit),
        "disk": partial(
            disks.read,
            disks.written_by(run_dir, supervisor_dir, settings.nginx_dir),
            (disks.code(),),
        ),
        "memory": partial(_memory, outermost),
        "certificates": partial(_certificates, settings.certificates),
    }
    if settings.nginx:
        questions["nginx"] = partial(sources.nginx, settings.nginx, limit)
        questions["spool"] = partial(sources.spool, settings.nginx, limit)
    if settings.certificates and settings.tls:
        questions["served certificate"] = partial(
            certificates.served, settings.certificates[0], settings.tls, datetime.now(UTC), limit
        )
    for name in _names(settings):
        path = _status_socket(settings, name)
        questions[f"worker {name}"] = partial(sources.worker_status, path, limit)
    return questions


def _sockets(run_dir: Path) -> list[str]:
    """The names of the workers whose sockets are there."""
    return sorted(path.stem.removeprefix("worker-") for path in run_dir.glob("worker-*.sock"))


def _memory(supervisor_dir: Path) -> dict[str, Any] | None:
    """That of supervisord's control group, which is the workers', or of this process's."""
    pid = sources.supervisord(supervisor_dir)
    return memory.read(pid if proc.runs(pid) else os.getpid())


def _certificates(paths: tuple[Path, ...]) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    return [found for path in paths for found in certificates.read(path, now)]


def _workers(
    settings: Settings,
    answers: dict[str, Any],
    counted: dict[str, Any],
    processes: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    found = []
    started = {each["name"]: each for each in processes}
    for name in _names(settings):
        answer = answers[f"worker {name}"]
        if isinstance(answer, SourceError):
            process = started.get(f"bascule:worker-{name}")
            loading = process["uptime_s"] if process and _loads(process, str(answer)) else None
            answer = {"worker": name, "error": str(answer), "loading_s": loading}
        found.append({**answer, "metrics": counted.get(name)})
    return found


def _loads(process: dict[str, Any], error: str) -> bool:
    """Whether a worker has started and does not listen yet, which it does with its application."""
    unheard = error in (sources.GONE, sources.UNHEARD)
    return unheard and process["state"] in ("STARTING", "RUNNING")
