"""Is the stack healthy, and if not, which part and why?"""

from __future__ import annotations

import argparse
import json
from typing import Any

from bascule_ops.errors import NotRunning
from bascule_ops.observe import snapshot
from bascule_ops.observe.findings import answering, count
from bascule_ops.observe.settings import from_environ
from bascule_ops.procfile import is_process
from bascule_ops.program import spelled
from bascule_ops.text.colour import Paint, paint
from bascule_ops.text.escape import visible
from bascule_ops.text.table import table
from bascule_ops.text.units import duration, share, size

HEALTHY, UNHEALTHY, NOT_RUNNING = 0, 1, 3  # exit statuses, as systemctl status has them
HEADINGS = (
    *("WORKER", "STATE", "PID", "UPTIME", "STARTS", "MEMORY", "THREADS", "WAITING"),
    *("CONNECTIONS", "REQUESTS", "SHARE", "BUSY SHARE"),
)
NUMBERS = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11)  # columns whose digits align
FAILURES_SHOWN = 5


def verdict(document: dict[str, Any], colour: Paint) -> str:
    """The first line: healthy or not, and what is at fault."""
    failed = [check for check in document["checks"] if not check["ok"]]
    there = f"{len(answering(document))} of {len(document['workers'])} workers answer"
    if not failed:
        return f"{colour('good', 'healthy')}: nginx and {there}"
    names = dict.fromkeys(check["name"] for check in failed)
    return f"{colour('bad', 'NOT HEALTHY')}: {', '.join(names)} ({there})"


def findings(document: dict[str, Any], colour: Paint) -> list[str]:
    """Every check that failed, with what to do about it; then what else is to be known."""
    lines = []
    for check in document["checks"]:
        if not check["ok"]:
            lines.append(f"{colour('bad', '!')} {visible(check['message'])}")
            lines.append(f"  remedy: {check['remedy']}")
    notes = [check["message"] for check in document["checks"] if check["note"]]
    return lines + [f"note: {visible(note)}" for note in notes]


def nginx(document: dict[str, Any]) -> str:
    """nginx in one line."""
    found = document["nginx"]
    if not found["up"]:
        return "nginx    " + ("not here" if found["up"] is None else "does not answer")
    if found["active"] is None:
        return "nginx    up (this build counts nothing)"
    return (
        f"nginx    up, {count(found['active'], 'connection', 'connections')} "
        f"({found['reading']} reading, {found['writing']} writing, {found['waiting']} waiting), "
        f"{count(found['requests'], 'request', 'requests')}"
    )


def others(document: dict[str, Any]) -> str:
    """What else supervisord runs, in one line."""
    names = [
        f"{each['name']} {each['state'].lower()}"
        for each in document["processes"]
        if not (each["name"].startswith("bascule:") or is_process(each["name"]))
    ]
    return f"besides  {', '.join(names) or 'unknown: supervisord does not answer'}"


def processes(document: dict[str, Any]) -> list[str]:
    """Those of the Procfile, a line each."""
    return [
        f"process  {each['name']} {each['state'].lower()}"
        + (f" (for {duration(each['uptime_s'])})" if each["uptime_s"] else "")
        for each in document["processes"]
        if is_process(each["name"])
    ]


def _totals(document: dict[str, Any]) -> tuple[int, float]:
    counted = [worker["metrics"] for worker in document["workers"] if worker["metrics"]]
    requests = sum(sum(each["requests"].values()) for each in counted)
    return requests, sum(each["duration"]["sum_s"] for each in counted)


def _worker(document: dict[str, Any], worker: dict[str, Any]) -> list[str]:
    name = worker["worker"]
    processes = {each["name"]: each for each in document["processes"]}
    process = processes.get(f"bascule:worker-{name}")
    counted = worker["metrics"]
    all_requests, all_busy = _totals(document)
    starts = requests = of_requests = of_busy = "-"
    if counted:
        number = sum(counted["requests"].values())
        starts, requests = f"{counted['starts']}", f"{number:,}"
        of_requests = share(number, all_requests)
        of_busy = share(counted["duration"]["sum_s"], all_busy)
    if "error" in worker:
        state = process["state"].lower() if process else "unknown"
        if f"worker-{name}" in {each["name"] for each in document["stopped"]}:
            state = "stopped by a signal"
        if worker.get("loading_s") is not None:
            state = "loading"
        known = ["no answer" if state == "running" else state]
        known += [str(process["pid"] or "-"), duration(process["uptime_s"])] if process else "--"
        return [name, *known, starts, "-", "-", "-", "-", requests, of_requests, of_busy]
    return [
        name,
        worker["state"],
        str(worker["pid"]),
        duration(worker["uptime_s"]),
        starts,
        size(worker["resident_bytes"]),
        _threads(worker),
        str(worker["waiting"]),
        str(sum(worker["connections"].values())),
        requests,
        of_requests,
        of_busy,
    ]


def _threads(worker: dict[str, Any]) -> str:
    """How many are busy, of how many; and of what holds one for long, if anything does."""
    # A worker from before a deployment may not tell the latter.
    held = {"stream": worker.get("streaming", 0), "hung": worker.get("threads_hung", 0)}
    words = ", ".join(f"{number} {word}" for word, number in held.items() if number)
    return f"{worker['threads_busy']} of {worker['threads']}" + (f" ({words})" if words else "")


def last_failures(document: dict[str, Any]) -> list[str]:
    """Why processes ended lately, if any did."""
    failed = [each for each in document["processes"] if each["last_error"]]
    lines = [f"    {each['name']}: {visible(each['last_error'])}" for each in failed]
    return ["Last errors:", *lines[-FAILURES_SHOWN:], ""] if lines else []


def rooms(document: dict[str, Any]) -> list[str]:
    """Disks and certificates, a line each."""
    lines = [
        f"disk     {each['path']}: {size(each['free_bytes'])} of {size(each['total_bytes'])} free"
        for each in document["disk"]
    ]
    if memory := document["memory"]:
        limit = memory["limit_bytes"]
        of = f" of {size(limit)}" if limit else "; there is no limit"
        lines.append(f"memory   {size(memory['used_bytes'])} used{of}")
    lines += [
        f"cert     {visible(each['subject'])}: good for "
        f"{count(max(0, int(each['days_left'])), 'day', 'days')} more ({each['path']})"
        for each in document["certificates"]
    ]
    return lines


def screen(document: dict[str, Any], colour: Paint) -> str:
    """Everything, for reading."""
    lines = [verdict(document, colour)]
    lines += findings(document, colour)
    lines += ["", nginx(document), others(document), *processes(document), *rooms(document), ""]
    head, *rows = table(
        [HEADINGS, *(_worker(document, worker) for worker in document["workers"])], NUMBERS
    )
    lines += [colour("strong", head), *rows, "", *last_failures(document)]
    about = f"bascule {document['version']}, {document['mode']}, {document['time']}"
    return "\n".join([*lines, colour("faint", about)])


def run(arguments: argparse.Namespace) -> int:
    """Print the status; return the exit status."""
    document = snapshot.take(from_environ(), snapshot.PATIENT_LIMIT)
    if arguments.json:
        print(json.dumps(document))
    elif snapshot.runs(document):
        print(screen(document, paint(arguments.colour)))
    if not snapshot.runs(document):
        raise NotRunning(spelled("the stack does not run; ops/up starts it"))
    return HEALTHY if document["healthy"] else UNHEALTHY
