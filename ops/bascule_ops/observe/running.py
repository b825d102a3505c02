"""What is running right now?"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from bascule_ops.errors import NotRunning
from bascule_ops.observe import snapshot
from bascule_ops.observe.findings import answering
from bascule_ops.observe.settings import from_environ
from bascule_ops.observe.status import HEALTHY, UNHEALTHY
from bascule_ops.program import named, spelled
from bascule_ops.text.colour import Paint, paint
from bascule_ops.text.escape import visible
from bascule_ops.text.table import table
from bascule_ops.text.units import duration

HEADINGS = ("WORKER", "THREAD", "AGE", "STATE", "ID", "METHOD", "PATH", "WHERE")
MOST = 500  # requests that a worker tells of (server/bascule/watch/status.py)
NUMBERS = (2,)  # columns whose digits align


def in_flight(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Every request that a worker has, with its worker; the oldest first."""
    found = [
        {"worker": worker["worker"], **request}
        for worker in answering(document)
        for request in worker["requests"]
    ]
    return sorted(found, key=lambda request: -float(request["age_s"]))


def silent(document: dict[str, Any]) -> list[dict[str, str]]:
    """The workers whose requests are not known, each with the reason."""
    stopped = {each["name"]: each["pid"] for each in document["stopped"]}
    found = []
    for worker in document["workers"]:
        if "error" in worker:
            pid = stopped.get(f"worker-{worker['worker']}")
            error = f"it is stopped: kill -CONT {pid} has it go on" if pid else worker["error"]
            found.append({"worker": worker["worker"], "error": error})
    return found


def summary(document: dict[str, Any], requests: list[dict[str, Any]]) -> str:
    """How many of which state, the age of the oldest, and of whom there may be more."""
    if not requests:
        known, unknown = answering(document), silent(document)
        if not known:
            return "No worker answers, so what is in flight is not known."
        if unknown:
            return "No request is in flight in the workers that answer."
        return "No request is in flight."
    states: dict[str, int] = {}
    for request in requests:
        states[request["state"]] = states.get(request["state"], 0) + 1
    counts = ", ".join(f"{number} {state}" for state, number in states.items())
    oldest = duration(requests[0]["age_s"])
    crowded = [each["worker"] for each in answering(document) if len(each["requests"]) >= MOST]
    rest = f"; of worker {', '.join(crowded)} only the oldest {MOST} are shown" if crowded else ""
    return f"{len(requests)} in flight ({counts}), the oldest for {oldest}{rest}"


def where(request: dict[str, Any]) -> str:
    """The line of the application that a request is at, or else whatever line; may be empty."""
    # A worker from before a deployment may not tell the former.
    return str(request.get("location") or "".join(request["frames"][-1:]))


def _row(request: dict[str, Any]) -> list[str]:
    return [
        request["worker"],
        request["thread"] or "-",
        duration(request["age_s"]),
        request["state"],
        visible(request["request_id"] or "-"),
        visible(request["method"]),
        visible(request["path"]),
        where(request) or "-",
    ]


def screen(document: dict[str, Any], colour: Paint, *, stacks: bool) -> str:
    """The table; with `stacks`, below it every request's stack."""
    requests = in_flight(document)
    lines = [summary(document, requests)]
    if requests:
        head, *rows = table([HEADINGS, *map(_row, requests)], NUMBERS)
        styled = [
            colour("bad", row) if request["state"] == "hung" else row
            for row, request in zip(rows, requests, strict=True)
        ]
        lines += ["", colour("strong", head), *styled]
    if stacks:
        for request in requests:
            title = f"{request['method']} {request['path']} ({request['request_id'] or 'no id'})"
            where = f"worker {request['worker']}, {request['thread'] or 'no thread'}"
            lines += ["", f"{visible(title)}: {request['state']}, {where}"]
            lines += [f"    {frame}" for frame in request["frames"]]
    return "\n".join(lines)


def run(arguments: argparse.Namespace) -> int:
    """Print the requests in flight; return the exit status."""
    document = snapshot.take(from_environ(), snapshot.PATIENT_LIMIT)
    missing = silent(document)
    if not snapshot.runs(document):
        raise NotRunning(spelled("the stack does not run; ops/up starts it"))
    if arguments.json:
        print(json.dumps({"requests": in_flight(document), "silent": missing}))
    else:
        print(screen(document, paint(arguments.colour), stacks=arguments.stacks))
        for each in missing:
            words = f"worker {each['worker']}: {each['error']}"
            print(f"{named('running')}: {words}", file=sys.stderr)
    return UNHEALTHY if missing else HEALTHY
