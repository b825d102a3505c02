"""What is judged about a stack: each check with its finding and what to do about it.

A check reads the snapshot's document and nothing else, so whoever has one can judge it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

Document = dict[str, Any]

DISK_SHARE: Final = 0.05  # of a file system, that should be free
DISK_BYTES: Final = 100 * 1024 * 1024  # that should be free, where there is so much at all
SMALL_DISK: Final = 1024 * 1024 * 1024  # bytes; of a smaller one, such as a tmpfs, only the share
DESCRIPTOR_SHARE: Final = 0.8  # of a process's limit, that may be open
CERTIFICATE_DAYS: Final = 14.0  # time to renew one by hand
LONG_WAIT: Final = 1.0  # seconds for a thread; a burst is over by then
CRASH_LOOP: Final = 3  # unexpected ends of a process within `ops.supervision.failures.RECENT`


@dataclass(frozen=True, slots=True)
class Check:
    """A finding; `remedy` is empty where all is well."""

    name: str
    ok: bool
    message: str
    remedy: str = ""


def _good(name: str, message: str) -> Check:
    return Check(name, True, message)


def _bad(name: str, message: str, remedy: str) -> Check:
    return Check(name, False, message, remedy)


def answering(document: Document) -> list[Document]:
    """The workers that told of themselves, a stand-in among them."""
    return [worker for worker in document["workers"] if "error" not in worker]


def supervisor(document: Document) -> Iterator[Check]:
    """supervisord answers."""
    if error := document["errors"]["supervisor"]:
        yield _bad(
            "supervisor",
            f"supervisord does not answer: {error}",
            "a worker that ends now stays away: ops/down, then ops/up",
        )
    else:
        yield _good("supervisor", "supervisord answers")


def nginx(document: Document) -> Iterator[Check]:
    """nginx answers."""
    if document["nginx"]["up"]:
        yield _good("nginx", "nginx answers")
    elif error := document["errors"]["nginx"]:
        yield _bad(
            "nginx",
            f"nginx does not answer: {error}",
            "ops/logs shows its last words; ops/up starts it again",
        )


# What supervisor's states mean for a worker that does not answer, and what to do then.
STATES: Final = {
    "STOPPED": ("is stopped", "ops/restart starts it"),
    "STARTING": ("is being started", "wait until its application is loaded; ops/logs --follow"),
    "RUNNING": (
        "runs but does not answer",
        "something holds its interpreter, or its machine has no time left: "
        "ops/logs shows its last lines, ops/restart replaces it",
    ),
    "BACKOFF": ("ends at its start, and is tried again", "ops/logs shows why; mend that"),
    "STOPPING": ("is being stopped", "wait until its requests are finished; ops/running"),
    "EXITED": ("has ended", "ops/logs shows why; ops/restart starts it"),
    "FATAL": ("could not be started", "ops/logs shows why; mend that, then ops/restart"),
}
UNKNOWN_STATE: Final = (
    "does not answer, and supervisord does not tell of it",
    "ops/down, then ops/up",
)


def workers(document: Document) -> Iterator[Check]:
    """Every worker's process runs and answers."""
    states = {each["name"]: each for each in document["processes"]}
    for worker in document["workers"]:
        name = f"worker-{worker['worker']}"
        process = states.get(f"bascule:{name}")
        if worker["worker"] == "stand-in":
            continue
        state = process["state"] if process else None
        if "error" not in worker and state in ("RUNNING", "STARTING", None):
            yield _good(name, f"process {worker['pid']} is {worker['state']}")
            continue
        meaning, remedy = STATES.get(state or "", UNKNOWN_STATE)
        words = f"{name} {meaning}"
        if process and process["pid"]:
            words += f" (process {process['pid']})"
        if process and process["last_error"]:
            words += f": {process['last_error']}"
        elif "error" in worker and state == "RUNNING":
            words += f": {worker['error']}"
        yield _bad(name, words, remedy)


def sockets(document: Document) -> Iterator[Check]:
    """Every worker that serves can be reached by nginx."""
    serving = {
        worker["worker"] for worker in answering(document) if worker["state"] == "serving"
    } - {"stand-in"}
    missing = [f"worker-{name}.sock" for name in sorted(serving - set(document["sockets"]))]
    if missing:
        yield _bad(
            "sockets",
            f"{', '.join(missing)} is not there, so nginx cannot reach that worker",
            "ops/restart makes it anew",
        )
    else:
        yield _good("sockets", "the socket of every worker that serves is there")


def hung(document: Document) -> Iterator[Check]:
    """No request is past its deadline and still in its thread."""
    found = [
        (request, worker["worker"])
        for worker in answering(document)
        for request in worker["requests"]
        if request["state"] == "hung"
    ]
    if not found:
        yield _good("hung", "no request hangs")
        return
    request, worker = max(found, key=lambda each: each[0]["age_s"])
    yield _bad(
        "hung",
        f"requests that hang: {len(found)}, the longest for {request['age_s']:.0f} s "
        f"in worker-{worker}: {request['method']} {request['path']}",
        "ops/running --stacks shows where; a worker is replaced when half of its threads hang",
    )


def crash_loop(document: Document) -> Iterator[Check]:
    """No process ends again and again."""
    looping = [each for each in document["processes"] if each["recent_failures"] >= CRASH_LOOP]
    if not looping:
        yield _good("crash-loop", "no process ends again and again")
        return
    worst = max(looping, key=lambda each: int(each["recent_failures"]))
    yield _bad(
        "crash-loop",
        f"{worst['name']} ended {worst['recent_failures']} times within minutes"
        + (f": {worst['last_error']}" if worst["last_error"] else ""),
        "ops/logs shows its last words; mend that, or go back to the version before",
    )


def observer(document: Document) -> Iterator[Check]:
    """Who serves the metrics and the status page runs."""
    found = [each for each in document["processes"] if each["name"] == "observer"]
    if found and found[0]["state"] not in ("RUNNING", "STARTING"):
        yield _bad(
            "observer",
            f"the observer is {found[0]['state']}: there are no metrics and no status page",
            "requests are not concerned; ops/logs shows why, ops/restart starts it",
        )
    elif found:
        yield _good("observer", "the observer runs")


def versions(document: Document) -> Iterator[Check]:
    """All workers run the same."""
    for word, key in (("version", "version"), ("Python", "python"), ("application", "application")):
        found = sorted({str(worker[key]) for worker in answering(document)})
        if len(found) > 1:
            yield _bad(
                "versions",
                f"workers differ in their {word}: {', '.join(found)}",
                "a deployment was not finished: ops/restart",
            )
            return
    yield _good("versions", "all workers run the same version")


def disk(document: Document) -> Iterator[Check]:
    """Nothing that is written to is nearly full."""
    low = [
        each
        for each in document["disk"]
        if each["free_bytes"] < DISK_SHARE * each["total_bytes"]
        or (each["free_bytes"] < DISK_BYTES and each["total_bytes"] >= SMALL_DISK)
    ]
    for each in low:
        yield _bad(
            "disk",
            f"{each['path']} has {each['free_bytes'] / 2**20:.0f} MiB left "
            f"of {each['total_bytes'] / 2**20:.0f}",
            "remove what is not needed; in local mode the log (ops/logs) may be emptied",
        )
    if not low:
        yield _good("disk", "there is room on every disk that is written to")


def descriptors(document: Document) -> Iterator[Check]:
    """No worker is about to run out of file descriptors."""
    near = [
        worker
        for worker in answering(document)
        if worker["descriptors"]["open"] >= DESCRIPTOR_SHARE * worker["descriptors"]["limit"]
    ]
    for worker in near:
        yield _bad(
            "descriptors",
            f"worker-{worker['worker']} has {worker['descriptors']['open']} descriptors open, "
            f"{worker['descriptors']['limit']} is its limit",
            "find what the application does not close; ops/restart helps for a while",
        )
    if not near:
        yield _good("descriptors", "every worker has descriptors left")


def certificates(document: Document) -> Iterator[Check]:
    """No certificate is about to expire."""
    if error := document["errors"]["certificates"]:
        yield _bad("certificates", error, "correct NGINX_TLS_CERTIFICATE or the file's mode")
        return
    ending = [each for each in document["certificates"] if each["days_left"] <= CERTIFICATE_DAYS]
    for each in ending:
        when = (
            f"expires in {each['days_left']:.1f} days" if each["days_left"] > 0 else "has expired"
        )
        yield _bad(
            "certificates",
            f"the certificate {each['subject'] or 'without a name'} in {each['path']} {when}",
            "renew it, then have nginx read it",
        )
    if not ending and document["certificates"]:
        yield _good("certificates", "every certificate is good for more than 14 days")


def queue(document: Document) -> Iterator[Check]:
    """Nobody waits long for a thread."""
    waiting = [
        (request["age_s"], worker["worker"])
        for worker in answering(document)
        for request in worker["requests"]
        if request["state"] == "waiting"
    ]
    total = sum(worker["waiting"] for worker in answering(document))
    if not waiting or max(waiting)[0] < LONG_WAIT:
        yield _good("queue", f"requests that wait for a thread: {total}, none for long")
        return
    longest, worker = max(waiting)
    yield _bad(
        "queue",
        f"requests that wait for a thread: {total}, "
        f"the longest for {longest:.1f} s in worker-{worker}",
        "ops/running shows what the threads do; more WORKERS or BASCULE_THREADS if that is right",
    )


def metrics(document: Document) -> Iterator[Check]:
    """The counters can be read."""
    if error := document["errors"]["metrics"]:
        yield _bad(
            "metrics",
            f"the workers' counters cannot be read: {error}",
            "ops/down, then ops/up makes the file anew",
        )
    else:
        yield _good("metrics", "the workers' counters can be read")


ALL: Final[tuple[Callable[[Document], Iterator[Check]], ...]] = (
    supervisor,
    nginx,
    workers,
    sockets,
    hung,
    queue,
    crash_loop,
    descriptors,
    versions,
    disk,
    certificates,
    metrics,
    observer,
)


def check(document: Document) -> list[dict[str, Any]]:
    """All findings about a snapshot, as they stand in it."""
    return [asdict(finding) for each in ALL for finding in each(document)]
