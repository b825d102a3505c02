"""Snapshots as the observer gives them, of states that are hard to bring about.

A scene is a function of time, in seconds since its start, so that two polls of it differ by
what happened between them. Nothing in it is random.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

BEGIN = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# The part of the calls that end within each bound.
FAST = (0.62, 0.81, 0.9, 0.94, 0.962, 0.975, 0.984, 0.991, 0.996, 0.999, 1.0, 1.0, 1.0)
QUEUE = (0.97, 0.985, 0.992, 0.996, 0.998, 0.999, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)

STACK = [
    "bascule_middleware/links/request_id.py:41 __call__",
    "bascule_middleware/links/exceptions.py:63 __call__",
    "bascule_middleware/wsgi.py:12 application",
    "shop/views.py:87 checkout",
    "shop/payment.py:214 charge",
    "/usr/lib/python3.13/ssl.py:1138 read",
]


def stamp(seconds: float) -> str:
    """RFC 3339 with milliseconds."""
    moment = BEGIN + timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def histogram(count: int, parts: tuple[float, ...], mean: float) -> dict[str, Any]:
    """A cumulative histogram of `count` calls."""
    buckets = [[bound, round(count * part)] for bound, part in zip(BOUNDS, parts, strict=True)]
    return {"buckets": buckets, "sum_s": round(count * mean, 6), "count": count}


def metrics(seconds: float, rate: float, starts: int = 1) -> dict[str, Any]:
    """The counters of a worker that has served `rate` requests a second."""
    count = round(rate * seconds)
    return {
        "requests": {
            "1xx": 0,
            "2xx": round(count * 0.93),
            "3xx": round(count * 0.04),
            "4xx": round(count * 0.025),
            "5xx": round(count * 0.005),
        },
        "duration": histogram(count, FAST, 0.006),
        "queue_wait": histogram(count, QUEUE, 0.0004),
        "slow_calls": round(count * 0.01),
        "internal_errors": 0,
        "hung_requests": 1,
        "rate_limited": 12,
        "refused": 0,
        "client_disconnects": 3,
        "received_bytes": count * 412,
        "sent_bytes": count * 5120,
        "starts": starts,
    }


def request(identity: str, age: float, state: str, **more: Any) -> dict[str, Any]:
    """A request in flight."""
    path = more.pop("path", "/checkout")
    return {
        "request_id": identity,
        "method": "GET",
        "target": path,
        "path": path,
        "peer": "203.0.113.9",
        "age_s": age,
        "state": state,
        "thread": None,
        "frames": [],
        **more,
    }


def worker(name: str, seconds: float, rate: float, **more: Any) -> dict[str, Any]:
    """A worker that serves."""
    pid = 4100 + int(name)
    return {
        "worker": name,
        "pid": pid,
        "version": "0.1.0",
        "python": "3.13.5",
        "application": "bascule_middleware.wsgi:application",
        "started": stamp(-7200),
        "uptime_s": 7200 + seconds,
        "state": "serving",
        "threads": 8,
        "threads_busy": 1,
        "waiting": 0,
        "backlog_requests": 512,
        "connections": {"idle": 14, "head": 0, "body": 0, "call": 1, "send": 0, "linger": 0},
        "resident_bytes": 48_300_000,
        "descriptors": {"open": 31, "limit": 1024},
        "requests": [],
        "recent_errors": [],
        "slow_calls": [],
        "internal_errors": [],
        "metrics": metrics(seconds + 600, rate, 1),
        **more,
    }


def snapshot(seconds: float, workers: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A snapshot in which all is well."""
    passing = ["nginx", "worker-0", "worker-1", "supervisor", "disk", "certificates"]
    requests = 1_000_000 + int(300 * seconds)
    return {
        "time": stamp(seconds),
        "version": "0.1.0",
        "mode": "docker",
        "command_prefix": "ops/",
        "healthy": True,
        "checks": [
            {"name": name, "ok": True, "message": "answers", "remedy": "", "note": False}
            for name in passing
        ],
        "nginx": {
            "up": True,
            "active": 23,
            "reading": 0,
            "writing": 4,
            "waiting": 19,
            "accepted": 10_312,
            "handled": 10_312,
            "requests": requests,
        },
        "processes": [
            {
                "name": name,
                "state": "RUNNING",
                "pid": 4100 + number,
                "since": stamp(-7200),
                "uptime_s": 7200 + seconds,
                "exit_status": 0,
                "last_error": "",
                "recent_failures": 0,
            }
            for number, name in enumerate(["bascule:worker-0", "bascule:worker-1", "observer"])
        ],
        "workers": workers,
        "disk": [{"path": "/", "free_bytes": 31_400_000_000, "total_bytes": 62_000_000_000}],
        "certificates": [
            {
                "path": "/etc/nginx/tls/site.pem",
                "subject": "CN=shop.example",
                "not_after": stamp(86400 * 61),
                "days_left": 61.4,
            }
        ],
        **more,
    }


def calm(seconds: float) -> dict[str, Any]:
    """Two workers that have little to do."""
    return snapshot(seconds, [worker("0", seconds, 200.0), worker("1", seconds, 100.0)])


def idle(seconds: float) -> dict[str, Any]:
    """Nobody asks for anything."""
    still = metrics(0, 0.0)
    return snapshot(seconds, [worker("0", seconds, 0.0, metrics=still)])


def trouble(seconds: float) -> dict[str, Any]:
    """One worker hangs in a payment and has a queue; another does not answer."""
    hung = request(
        "b7c1f09e5d2a4c86", 12.4 + seconds, "hung", thread="call-3", frames=STACK, method="POST"
    ) | {"location": STACK[-2]}
    slow = request(
        "0d9e8f7a6b5c4d3e", 1.7, "running", thread="call-1", frames=STACK[:4], path="/report?y=2026"
    )
    queued = request("5f4e3d2c1b0a9988", 0.3, "waiting", path="/alice")
    error = {
        "time": stamp(seconds - 41),
        "level": "error",
        "event": "exception",
        "message": "KeyError: 'total'",
        "request_id": "77aa12cd34ef5601",
    }
    stuck = {
        "time": stamp(seconds - 9),
        "level": "error",
        "event": "hung_request",
        "message": "POST /checkout has run for 10.0 s",
        "request_id": "b7c1f09e5d2a4c86",
    }
    busy = worker(
        "0",
        seconds,
        220.0,
        threads_busy=7,
        waiting=1,
        requests=[queued, hung, slow],
        recent_errors=[error, stuck],
        slow_calls=[
            {
                "location": "shop/payment.py:214 charge",
                "count": 41,
                "total_s": 38.2 + seconds,
                "last": stamp(seconds - 2),
                "path": "/checkout",
            },
            {
                "location": "shop/report.py:55 rows",
                "count": 9,
                "total_s": 11.5,
                "last": stamp(seconds - 30),
                "path": "/report",
            },
        ],
        metrics=metrics(seconds + 600, 220.0, 3),
    )
    silent = {
        "worker": "1",
        "error": "connection refused",
        "metrics": metrics(600, 140.0, 2),
    }
    taken = snapshot(seconds, [busy, silent], healthy=False)
    taken["checks"][2] = {
        "name": "worker-1",
        "ok": False,
        "note": False,
        "message": "its status socket refuses connections",
        "remedy": "ops/restart; its last words: ops/logs --level error",
    }
    return taken


def restarting(seconds: float) -> dict[str, Any]:
    """A worker is being restarted, and the other one serves."""
    taken = calm(seconds)
    taken["checks"][2] |= {"message": "worker-1 is being restarted (2 of 2)", "note": True}
    return taken


def hostile(seconds: float) -> dict[str, Any]:
    """Whatever a client or an application may write is markup."""
    markup = '<img src=x onerror="document.title=`owned`">'
    attack = request(
        "id' ; touch /tmp/owned",
        4.0,
        "running",
        path=f"/{markup}",
        thread=markup,
        frames=[markup],
        method="<b>GET</b>",
    )
    error = {
        "time": stamp(seconds - 1),
        "level": "error",
        "event": markup,
        "message": f"</td><script>document.title='owned'</script>{markup}",
        "request_id": '"><script>document.title="owned"</script>',
    }
    location = {
        "location": markup,
        "count": 1,
        "total_s": 1.0,
        "last": stamp(0),
        "path": f"/{'x' * 2000}",
    }
    attacked = worker(
        "0",
        seconds,
        1.0,
        requests=[attack],
        recent_errors=[error],
        slow_calls=[location],
    )
    taken = snapshot(seconds, [attacked], healthy=False)
    check = {"name": markup, "ok": False, "message": markup, "remedy": markup, "note": True}
    taken["checks"].append(check)
    taken["certificates"][0]["subject"] = markup
    return taken


def crowd(seconds: float) -> dict[str, Any]:
    """Forty uploads at once, and five checks that fail."""
    uploads = [
        request(f"{number:032x}", 40.0 - number, "body", path=f"/upload/{number}", method="PUT")
        for number in range(40)
    ]
    sick = trouble(seconds)["workers"][0]
    taken = snapshot(
        seconds,
        [
            worker(
                str(number),
                seconds,
                100.0,
                requests=uploads[number::4],
                recent_errors=sick["recent_errors"],
                slow_calls=sick["slow_calls"],
            )
            for number in range(4)
        ],
        healthy=False,
    )
    for check in taken["checks"][:5]:
        check |= {"ok": False, "message": "is not well " * 20, "remedy": "make it well " * 20}
    return taken


def queue(seconds: float) -> dict[str, Any]:
    """Three requests, of which the first ends within four seconds."""
    found = [
        request(name, age + seconds, "running", path=f"/{name}")
        for name, age in (("first", 9.0), ("second", 2.0), ("third", 1.0))
    ]
    return snapshot(seconds, [worker("0", seconds, 1.0, requests=found[seconds > 2 :])])
