"""What is judged about a stack: each check with its finding and what to do about it.

A check that breaks of what it is given says so in its finding.

A check reads the snapshot's document and nothing else, so whoever has one can judge it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from bascule_ops.observe.findings import Check, Document, answering, bad, count, good, noted
from bascule_ops.observe.machine_checks import certificates, disk, log, memory, served, spool
from bascule_ops.observe.process_checks import (
    crash_loop,
    cut_off,
    observer,
    of_procfile,
    sockets,
    stopped,
    supervisor,
    versions,
    workers,
)
from bascule_ops.text.units import duration

DESCRIPTOR_SHARE: Final = 0.8  # of a process's limit, that may be open
LONG_WAIT: Final = 1.0  # seconds for a thread; a burst is over by then
RECENT_FAILURE: Final = 600.0  # seconds; what has not failed since then is past


def nginx(document: Document) -> Iterator[Check]:
    """nginx answers."""
    if document["nginx"]["up"]:
        yield good("nginx", "nginx answers")
    elif error := document["errors"]["nginx"]:
        yield bad(
            "nginx",
            f"nginx does not answer: {error}",
            "ops/logs shows its last words; where it has ended, ops/up starts it again",
        )


def nginx_workers(document: Document) -> Iterator[Check]:
    """nginx knows as many workers as there are."""
    known, there = document["nginx"]["workers"], len(document["workers"])
    if known is None:
        return  # it does not answer, or is of another version
    words = f"nginx knows {count(known, 'worker', 'workers')}, and there are to be {there}"
    if known == there:
        yield good("nginx-workers", "nginx knows all workers, and no others")
    elif (document["operation"] or {}).get("kind") == "deployment":
        yield noted("nginx-workers", f"{words}: a deployment tells it")
    else:
        yield bad(
            "nginx-workers",
            words,
            "wait: it learns that within seconds, or within 65 s where clients keep connections "
            "open; where it does not, ops/restart tells it once more, and says what it refuses",
        )


def hung(document: Document) -> Iterator[Check]:
    """No request is past its deadline and still in its thread."""
    found = [
        (request, worker["worker"])
        for worker in answering(document)
        for request in worker["requests"]
        if request["state"] == "hung"
    ]
    if not found:
        yield good("hung", "no request hangs")
        return
    request, worker = max(found, key=lambda each: each[0]["age_s"])
    yield bad(
        "hung",
        f"{count(len(found), 'request hangs,', 'requests hang, the longest')} "
        f"for {request['age_s']:.0f} s in worker-{worker}: {request['method']} {request['path']}",
        "ops/running --stacks shows where; its thread is replaced by another one, and the worker "
        "once as many hang as it has threads; ops/restart ends them",
    )


def internal_errors(document: Document) -> Iterator[Check]:
    """Nothing has failed of late within a worker."""
    failed = [
        (_seconds_ago(document, failure["last"]), failure, worker["worker"])
        for worker in answering(document)
        for failure in worker["internal_errors"]
    ]
    if not failed:
        yield good("internal-errors", "nothing has failed within the workers")
        return
    ago, failure, worker = min(failed, key=lambda each: each[0])
    words = (
        f"{failure['place']} failed {count(failure['count'], 'time', 'times')} in "
        f"worker-{worker}, the last time {duration(ago)} ago: {failure['error']}"
    )
    if ago > RECENT_FAILURE:
        yield noted("internal-errors", words)
    else:
        yield bad(
            "internal-errors",
            words,
            "it serves on; ops/logs --event internal_error shows the traceback: where the "
            "application is in it, mend that, else report it; ops/restart makes an end of it "
            "until then",
        )


def _seconds_ago(document: Document, moment: str) -> float:
    now = datetime.fromisoformat(document["time"])
    return max(0.0, (now - datetime.fromisoformat(moment)).total_seconds())


def descriptors(document: Document) -> Iterator[Check]:
    """No worker is about to run out of file descriptors."""
    near = [
        worker
        for worker in answering(document)
        if worker["descriptors"]["open"] >= DESCRIPTOR_SHARE * worker["descriptors"]["limit"]
    ]
    for worker in near:
        yield bad(
            "descriptors",
            f"worker-{worker['worker']} has {worker['descriptors']['open']} descriptors open, "
            f"{worker['descriptors']['limit']} is its limit",
            "find what the application does not close; ops/restart helps for a while",
        )
    if not near:
        yield good("descriptors", "every worker has descriptors left")


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
        words = count(total, "request waits for a thread", "requests wait for a thread")
        yield good("queue", f"{words}, none for long" if total else words)
        return
    longest, worker = max(waiting)
    total = max(total, len(waiting))  # counted a moment apart
    yield bad(
        "queue",
        f"{count(total, 'request waits for a thread,', 'requests wait for a thread, the longest')} "
        f"for {longest:.1f} s in worker-{worker}",
        "ops/running shows what the threads do; ops/runbooks/slow.md tells whether to mend that "
        "or to have more WORKERS or BASCULE_THREADS",
    )


def metrics(document: Document) -> Iterator[Check]:
    """The counters can be read."""
    if error := document["errors"]["metrics"]:
        yield bad(
            "metrics",
            f"the workers' counters cannot be read: {error}",
            "ops/restart makes the file anew",
        )
    else:
        yield good("metrics", "the workers' counters can be read")


ALL: Final[tuple[Callable[[Document], Iterator[Check]], ...]] = (
    stopped,
    supervisor,
    nginx,
    nginx_workers,
    workers,
    cut_off,
    sockets,
    hung,
    internal_errors,
    queue,
    crash_loop,
    of_procfile,
    descriptors,
    versions,
    disk,
    spool,
    log,
    memory,
    certificates,
    served,
    metrics,
    observer,
)


def check(document: Document) -> list[dict[str, Any]]:
    """All findings about a snapshot, as they stand in it."""
    return [asdict(finding) for each in ALL for finding in _found(each, document)]


def _found(judge: Callable[[Document], Iterator[Check]], document: Document) -> list[Check]:
    try:
        return list(judge(document))
    except Exception as error:  # a part of another version may tell of itself in another way
        name = judge.__name__.replace("_", "-")
        words = f"what was told cannot be judged: {type(error).__name__}: {error}"
        return [bad(name, words, "ops/restart, where a part runs another version; else report it")]
