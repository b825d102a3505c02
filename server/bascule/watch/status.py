"""What a process is, does and did of late, as one JSON document (docs/server.md)."""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from typing import Any, Final

from bascule import guard
from bascule.engine.service import Service
from bascule.told.event_log import timestamp
from bascule.told.recent_errors import RecentErrors
from bascule.version import __version__
from bascule.watch import in_flight
from bascule.watch.in_flight import InFlight
from bascule.watch.memory import resident
from bascule.watch.slow_calls import SlowCalls
from bascule.watch.stacks import Stack, stacks

# Requests that are told of, the oldest first; how many there are the counts say.
MOST_REQUESTS: Final = 500


class Status:
    """Describes one process; any thread may ask, and none is waited for.

    Args:
        service: what is served.
        errors: the errors of late.
        slow_calls: where calls were slow.
    """

    def __init__(self, service: Service, errors: RecentErrors, slow_calls: SlowCalls) -> None:
        self._service = service
        self._errors = errors
        self._slow_calls = slow_calls
        self._started = time.time()
        self._began = time.monotonic()

    def document(self) -> dict[str, Any]:
        """Return the description, fit for JSON."""
        service = self._service
        config = service.config
        calls = in_flight.calls(service)
        return {
            "worker": config.worker,
            "pid": os.getpid(),
            "version": __version__,
            "python": sys.version.partition(" ")[0],
            "application": config.application,
            "started": timestamp(self._started),
            "uptime_s": round(time.monotonic() - self._began, 3),
            "state": "draining" if service.draining else "serving",
            "threads": config.threads,
            "threads_busy": sum(not call.is_abandoned for call in calls),
            "threads_hung": sum(call.is_abandoned for call in calls),
            "threads_extra": max(0, service.crew.size - _usual_size(config.threads)),
            "streaming": sum(each.is_streaming for each in in_flight.connections(service)),
            "waiting": service.crew.waiting,
            "backlog_requests": config.backlog_requests,
            "connections": in_flight.states(service),
            "resident_bytes": resident(),
            "descriptors": _descriptors(),
            "requests": _requests(list(in_flight.requests(service, calls))),
            "recent_errors": list(self._errors.records),
            "slow_calls": self._slow_calls.summary(),
            "internal_errors": [
                {**each, "last": timestamp(each["last"])} for each in guard.failures()
            ],
        }


def _usual_size(threads: int) -> int:
    """Return of how many threads a crew consists while none hangs."""
    return threads + 1 if threads > 1 else 1


def _descriptors() -> dict[str, int]:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Less the one that the look itself takes.
    return {"open": len(os.listdir("/proc/self/fd")) - 1, "limit": limit}


def _requests(found: list[InFlight]) -> list[dict[str, Any]]:
    shown = sorted(found, key=lambda each: -each.age)[:MOST_REQUESTS]
    threads = {each.thread for each in shown if each.thread is not None}
    where = stacks(threads)
    names = {each.ident: each.name for each in threading.enumerate()}
    return [_request(each, where.get(each.thread or 0), names) for each in shown]


def _request(found: InFlight, stack: Stack | None, names: dict[int | None, str]) -> dict[str, Any]:
    return {
        "request_id": found.request_id,
        "method": found.method,
        "target": found.target,
        "path": found.path,
        "peer": found.peer,
        "age_s": round(found.age, 3),
        "state": found.state,
        "thread": names.get(found.thread) if found.thread is not None else None,
        "location": stack.location if stack else "",
        "frames": stack.frames if stack else [],
    }
