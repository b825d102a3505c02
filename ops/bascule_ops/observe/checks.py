"""What is judged about a stack: each check with its finding and what to do about it.

A check reads the snapshot's document and nothing else, so whoever has one can judge it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from bascule_ops.observe.findings import Check, Document, answering, bad, count, good, noted
from bascule_ops.observe.process_checks import (
    crash_loop,
    observer,
    sockets,
    supervisor,
    versions,
    workers,
)
from bascule_ops.text.units import duration

DISK_SHARE: Final = 0.05  # of a file system, that should be free
DISK_BYTES: Final = 100 * 1024 * 1024  # that should be free, where there is so much at all
SMALL_DISK: Final = 1024 * 1024 * 1024  # bytes; of a smaller one, such as a tmpfs, only the share
DESCRIPTOR_SHARE: Final = 0.8  # of a process's limit, that may be open
CERTIFICATE_DAYS: Final = 14.0  # time to renew one by hand
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
            "ops/logs shows its last words; ops/up starts it again",
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
        "once as many hang as it has threads",
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


def disk(document: Document) -> Iterator[Check]:
    """Nothing that is written to is nearly full."""
    low = [
        each
        for each in document["disk"]
        if each["free_bytes"] < DISK_SHARE * each["total_bytes"]
        or (each["free_bytes"] < DISK_BYTES and each["total_bytes"] >= SMALL_DISK)
    ]
    for each in low:
        yield bad(
            "disk",
            f"{each['path']} has {each['free_bytes'] / 2**20:.0f} MiB left "
            f"of {each['total_bytes'] / 2**20:.0f}",
            "remove what is not needed; in local mode the log (ops/logs) may be emptied",
        )
    if not low:
        yield good("disk", "there is room on every disk that is written to")


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


def certificates(document: Document) -> Iterator[Check]:
    """No certificate is about to expire."""
    if error := document["errors"]["certificates"]:
        yield bad("certificates", error, "correct NGINX_TLS_CERTIFICATE or the file's mode")
        return
    ending = [each for each in document["certificates"] if each["days_left"] <= CERTIFICATE_DAYS]
    for each in ending:
        when = (
            f"expires in {each['days_left']:.1f} days" if each["days_left"] > 0 else "has expired"
        )
        yield bad(
            "certificates",
            f"the certificate {each['subject'] or 'without a name'} in {each['path']} {when}",
            "renew it, then have nginx read it",
        )
    if not ending and document["certificates"]:
        yield good("certificates", "every certificate is good for more than 14 days")


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
            "ops/down, then ops/up makes the file anew",
        )
    else:
        yield good("metrics", "the workers' counters can be read")


ALL: Final[tuple[Callable[[Document], Iterator[Check]], ...]] = (
    supervisor,
    nginx,
    workers,
    sockets,
    hung,
    internal_errors,
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
