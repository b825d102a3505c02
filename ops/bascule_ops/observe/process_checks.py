"""What is judged about the processes of a stack: that each runs, answers, and stays.

What somebody does on purpose is no fault while others serve: a worker that is being restarted is
told of with a note.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import Final

from bascule_ops.observe import sources
from bascule_ops.observe.findings import (
    Check,
    Document,
    answering,
    bad,
    count,
    good,
    noted,
    serving,
)
from bascule_ops.procfile import is_process, kind
from bascule_ops.supervision.client import WORKER
from bascule_ops.text.units import duration

CRASH_LOOP: Final = (
    3  # unexpected ends of a process within `bascule_ops.supervision.failures.RECENT`
)
# A process that ended again and again is back when it runs, and the last end is so long ago
# (seconds), and twice as long as any two of them were apart.
BACK: Final = 10.0

# What supervisor's states mean for a worker that does not answer, and what to do then.
STATES: Final = {
    "LOADING": (
        "is loading its application, and serves nobody yet",
        "wait: to restart it would have it begin again; ops/logs --follow shows what it does",
    ),
    "STOPPED": ("is stopped", "ops/restart starts it"),
    "RUNNING": (
        "runs but does not answer",
        "wait: something holds its interpreter, or its machine has no time left (ops/logs shows "
        "its last lines); where that takes half of BASCULE_TIMEOUT, a successor replaces it",
    ),
    "BACKOFF": ("ends at its start, and is tried again", "ops/logs shows why; mend that"),
    "STOPPING": (
        "is being stopped",
        "wait until its requests are finished (ops/running); supervisord ends it after "
        "BASCULE_GRACEFUL_TIMEOUT",
    ),
    "EXITED": ("has ended", "ops/logs shows why; ops/restart starts it"),
    "FATAL": ("could not be started", "ops/logs shows why; mend that, then ops/restart"),
}
# What a check is called that is about a part, where it is called otherwise.
NAMES: Final = {"supervisord": "supervisor", "nginx's worker": "nginx"}
# What nobody does while a part is stopped.
CONSEQUENCES: Final = {
    "supervisord": "; a worker that ends stays away, and the log is not written",
    "process-events": "; nobody replaces a worker at its limits, or ends a block in time",
    "nginx": "; nobody starts another of its workers, or reads a new certificate",
    "nginx's worker": "; the clients that it has wait",
}
UNKNOWN_STATE: Final = (
    "does not answer, and supervisord does not tell of it",
    "ops/down, then ops/up",
)
# Of a process whose turn it is in a restart: what it does in a state that a restart goes through.
AT_WORK: Final = {
    "STOPPING": "it finishes its requests",
    "STOPPED": "it has ended",
    "STARTING": "it starts",
    "RUNNING": "it starts",
}


def stopped(document: Document) -> Iterator[Check]:
    """No process was told to stand still."""
    found = document["stopped"]
    for each in found:
        yield bad(
            NAMES.get(each["name"], each["name"]),
            f"{each['name']} is stopped (process {each['pid']}): somebody sent it SIGSTOP, "
            f"and it does nothing until it gets SIGCONT{_consequence(each['name'])}",
            _go_on(document, each["pid"]),
        )
    if not found:
        yield good("stopped", "no process is stopped")


def _consequence(name: str) -> str:
    if name.startswith(WORKER):
        return "; if that takes more than half of BASCULE_TIMEOUT, a successor replaces it"
    return CONSEQUENCES.get(name, "")


def _go_on(document: Document, pid: int) -> str:
    """The command that has a process go on."""
    command = f"kill -CONT {pid}"
    return (
        command if document["mode"] == "local" else f"docker compose exec server sh -c '{command}'"
    )


def supervisor(document: Document) -> Iterator[Check]:
    """supervisord answers."""
    error = document["errors"]["supervisor"]
    # As PID 1 it is not there only when its container is about to end.
    stops = error == sources.STOPS or (error == sources.GONE and document["mode"] == "docker")
    if not error:
        yield good("supervisor", "supervisord answers")
    elif stops and len(serving(document)) >= len(document["workers"]):
        yield noted("supervisor", "supervisord is being stopped; its successor's workers serve")
    else:
        yield bad(
            "supervisor",
            f"supervisord does not answer: {error}",
            _remedy_of_silence(document),
        )


def _remedy_of_silence(document: Document) -> str:
    for each in document["stopped"]:
        if each["name"] == "supervisord":
            return _go_on(document, each["pid"])
    if document["errors"]["supervisor"] == sources.LOST:
        return "wait: others take their places; where they do not, ops/restart has them do it"
    return "a worker that ends now stays away: ops/down, then ops/up"


def workers(document: Document) -> Iterator[Check]:
    """Every worker's process runs and answers, or is being restarted while others serve."""
    states = {each["name"]: each for each in document["processes"]}
    for worker in document["workers"]:
        name = f"worker-{worker['worker']}"
        process = states.get(f"bascule:{name}")
        state = process["state"] if process else ""
        if name in {each["name"] for each in document["stopped"]}:
            continue  # that is told already
        if "error" not in worker and state in ("RUNNING", "STARTING", ""):
            yield _answering(document, worker, name)
        elif "error" not in worker and worker["state"] == "serving":
            # It would not serve, if it were the one that supervisord means.
            yield noted(name, f"{name}'s successor serves; the process before it is {state}")
        elif doing := _at_work(document, name, state):
            yield noted(name, f"{name} is {doing}")
        else:
            yield _absent(worker, name, process)


def _answering(document: Document, worker: Document, name: str) -> Check:
    if worker["state"] == "serving":
        return good(name, f"process {worker['pid']} is serving")
    if doing := _at_work(document, name, "STOPPING"):
        return noted(name, f"{name} is {doing}")
    requests = count(len(worker["requests"]), "request", "requests")
    return bad(
        name,
        f"{name} is {worker['state']} (process {worker['pid']}): it finishes {requests}, "
        "takes no new one, and ends",
        "wait: supervisord starts it again; ops/running shows what it finishes",
    )


def _absent(worker: Document, name: str, process: Document | None) -> Check:
    """Of a worker that does not answer, or that supervisord does not count on."""
    state = process["state"] if process else ""
    loading = worker.get("loading_s")
    if loading is not None:
        state = "LOADING"
    elif state == "STARTING":  # it serves; supervisord wants to see it live for a while
        state = "RUNNING"
    meaning, remedy = STATES.get(state, UNKNOWN_STATE)
    words = f"{name} {meaning}"
    if process and loading is not None:
        words += f": loading for {duration(loading)} (process {process['pid']})"
    elif process and process["pid"]:
        words += f" (process {process['pid']}, for {duration(process['uptime_s'])})"
    if process and process["last_error"]:
        words += f": {process['last_error']}"
    elif "error" in worker and state == "RUNNING":
        words += f": {worker['error']}"
    return bad(name, words, remedy)


def _at_work(document: Document, name: str, state: str) -> str:
    """What is being done to a process, if that is why it does not answer and others do."""
    operation = document["operation"]
    if not operation or not serving(document):
        return ""
    if operation["kind"] == "deployment":
        return "being replaced by a deployment" if state in (*AT_WORK, "") else ""
    if operation["process"] != name or state not in AT_WORK:
        return ""
    place = f" ({operation['number']} of {operation['of']})" if operation["of"] > 1 else ""
    return f"being restarted{place}: {AT_WORK[state]}"


def cut_off(document: Document) -> Iterator[Check]:
    """No operation was killed and left something."""
    if found := document["cut_off"]:
        yield bad("operation", found["message"], found["remedy"])
    else:
        yield good("operation", "no operation was cut off")


def sockets(document: Document) -> Iterator[Check]:
    """Every worker that serves can be reached by nginx."""
    operation = document["operation"]
    names = {worker["worker"] for worker in serving(document)}
    if operation:  # it may have begun to drain since it was asked
        names -= {operation["process"].removeprefix("worker-")}
    missing = [f"worker-{name}.sock" for name in sorted(names - set(document["sockets"]))]
    if missing:
        yield bad(
            "sockets",
            f"{', '.join(missing)} is not there, so nginx cannot reach that worker",
            "ops/restart makes it anew",
        )
    else:
        yield good("sockets", "the socket of every worker that serves is there")


def crash_loop(document: Document) -> Iterator[Check]:
    """No process ends again and again."""
    looping = [each for each in document["processes"] if each["recent_failures"] >= CRASH_LOOP]
    if not looping:
        yield good("crash-loop", "no process ends again and again")
    for each in looping:
        words = f"{each['name']} ended {each['recent_failures']} times in the last 5 minutes"
        ends = [datetime.fromisoformat(end) for end in each["recent_ends"]]
        since = (datetime.fromisoformat(document["time"]) - ends[-1]).total_seconds()
        apart = max((later - earlier).total_seconds() for earlier, later in pairwise(ends))
        if each["state"] == "RUNNING" and since >= max(BACK, 2 * apart):
            yield noted(
                "crash-loop", f"{words}; it is back, the last end was {duration(since)} ago"
            )
        else:
            yield bad(
                "crash-loop",
                words + (f": {each['last_error']}" if each["last_error"] else ""),
                _remedy_of_loop(document, each["name"]),
            )


def _remedy_of_loop(document: Document, name: str) -> str:
    if is_process(name) and document["mode"] == "docker":
        return "ops/logs shows its last words; mend that, then ops/deploy --build"
    if is_process(name):
        return f"ops/logs shows its last words; mend that, then ops/restart {kind(name)}"
    return "ops/logs shows its last words; mend that, or go back to the version before"


def of_procfile(document: Document) -> Iterator[Check]:
    """What the Procfile has beside web runs."""
    for process in document["processes"]:
        name, state = process["name"], process["state"]
        if not is_process(name) or process["recent_failures"] >= CRASH_LOOP:
            continue  # that is told already
        restarts = process.get("restarts", 0)
        if restarts >= CRASH_LOOP and process["uptime_s"] < BACK:
            words = f"{name} has ended {restarts} times, and is started again each time"
            yield bad(name, words, _remedy_of_loop(document, name))
        elif state in ("RUNNING", "STARTING"):
            yield good(name, f"{name} runs")
        elif state == "BACKOFF":
            why = process["last_error"]
            yield noted(
                name, f"{name} has ended, and is started again" + (f": {why}" if why else "")
            )
        elif document["operation"] or state == "STOPPING":
            yield noted(name, f"{name} is being replaced")
        else:
            yield bad(name, f"{name} is {state}", f"ops/restart {kind(name)} starts it")


def observer(document: Document) -> Iterator[Check]:
    """Who serves the metrics and the status page runs."""
    for process in document["processes"]:
        if process["name"] != "observer":
            continue
        state = process["state"]
        if state in ("RUNNING", "STARTING"):
            yield good("observer", "the observer runs")
        elif doing := _at_work(document, "observer", state):
            yield noted("observer", f"the observer is {doing}")
        else:
            yield bad(
                "observer",
                f"the observer is {state}: there are no metrics and no status page",
                "requests are not concerned; ops/logs shows why, ops/restart starts it",
            )


def versions(document: Document) -> Iterator[Check]:
    """All workers run the same."""
    for word, key in (("version", "version"), ("Python", "python"), ("application", "application")):
        found = sorted({str(worker[key]) for worker in answering(document)})
        if len(found) > 1:
            words = f"workers differ in their {word}: {', '.join(found)}"
            if document["operation"]:
                yield noted("versions", f"{words}, for as long as they are being restarted")
            else:
                yield bad("versions", words, "a deployment was not finished: ops/restart")
            return
    yield good("versions", "all workers run the same version")
