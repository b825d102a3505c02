"""Parts of a stack that a snapshot can look at, without the stack."""

from __future__ import annotations

import json
import socketserver
import tempfile
import threading
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bascule.told import metrics
from bascule_ops.observe import snapshot
from bascule_ops.observe.settings import Settings

STUB_STATUS = (
    b"HTTP/1.1 200 OK\r\n\r\n"
    b"Active connections: 3 \nserver accepts handled requests\n 10 9 25 \n"
    b"Reading: 0 Writing: 1 Waiting: 2 \n"
)


def worker_document(name: str = "0", **changes: Any) -> dict[str, Any]:
    """What a worker tells that has nothing to do."""
    return {
        "worker": name,
        "pid": 100,
        "version": "0.1.0",
        "python": "3.13.5",
        "application": "bascule_middleware.wsgi:application",
        "started": "2026-01-02T03:04:05.678Z",
        "uptime_s": 3700.5,
        "state": "serving",
        "threads": 8,
        "threads_busy": 0,
        "threads_hung": 0,
        "threads_extra": 0,
        "streaming": 0,
        "waiting": 0,
        "backlog_requests": 512,
        "connections": {"idle": 2, "head": 0, "body": 0, "call": 0, "send": 0, "linger": 0},
        "resident_bytes": 32 * 1024 * 1024,
        "descriptors": {"open": 20, "limit": 1024},
        "requests": [],
        "recent_errors": [],
        "slow_calls": [],
        "internal_errors": [],
        **changes,
    }


def request_document(**changes: Any) -> dict[str, Any]:
    """A request that a worker tells of."""
    return {
        "request_id": "0123456789abcdef",
        "method": "GET",
        "target": "/slow?x=1",
        "path": "/slow",
        "peer": "",
        "age_s": 2.5,
        "state": "running",
        "thread": "worker-1",
        "location": "app/slow.py:7 wait",
        "frames": ["app/slow.py:7 wait", "lib/python3.11/threading.py:9 wait"],
        **changes,
    }


def process_info(name: str, group: str = "", state: str = "RUNNING") -> dict[str, Any]:
    """What supervisord tells of a process."""
    codes = {
        "STOPPED": 0,
        "STARTING": 10,
        "RUNNING": 20,
        "BACKOFF": 30,
        "STOPPING": 40,
        "FATAL": 200,
    }
    return {
        "name": name,
        "group": group or name,
        "pid": 100 if state == "RUNNING" else 0,
        "state": codes[state],
        "statename": state,
        "spawnerr": "",
        "exitstatus": 0,
        "start": 1000,
        "stop": 0,
        "now": 1060,
    }


PROCESSES = [
    process_info("worker-0", "bascule"),
    process_info("worker-1", "bascule"),
    process_info("observer"),
    process_info("nginx"),
]


def answer_request(it: Any, answer: bytes) -> None:
    """Read a request, all of it (who closes before that resets the connection), then answer."""
    length = 0
    while line := it.rfile.readline().strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    it.rfile.read(length)
    it.wfile.write(answer)


class Parts:
    """A directory with sockets; what is behind each is a function that answers a connection."""

    def __init__(self, stack: ExitStack) -> None:
        # Short, because unix sockets lie in it.
        self.directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="obs-")))
        self._stack = stack

    @property
    def settings(self) -> Settings:
        """The settings of a stack of two workers in that directory."""
        return Settings(
            mode="local",
            run_dir=self.directory,
            supervisor_dir=self.directory,
            workers=2,
            nginx=f"unix:{self.directory}/status.sock",
        )

    def answer(self, name: str, reply: Callable[[Any], None]) -> None:
        """Listen on a socket; `reply` gets each connection's file."""

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                reply(self)

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Who asked has given up."""

        server = Server(str(self.directory / name), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        self._stack.callback(server.server_close)
        self._stack.callback(server.shutdown)

    def worker(self, name: str, **changes: Any) -> None:
        """A worker that answers."""
        document = json.dumps(worker_document(name, **changes)).encode()
        self.answer(f"worker-{name}.status", lambda it: it.wfile.write(document))
        (self.directory / f"worker-{name}.sock").touch()

    def nginx(self, answer: bytes = STUB_STATUS) -> None:
        """An nginx that counts, or answers otherwise."""
        self.answer("status.sock", lambda it: answer_request(it, answer))

    def supervisor(self, infos: list[dict[str, Any]]) -> None:
        """A supervisord that tells of processes."""
        content = xmlrpc.client.dumps((infos,), methodresponse=True).encode()
        head = (
            f"HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        answer = head.encode() + content
        self.answer("supervisor.sock", lambda it: answer_request(it, answer))

    def counters(self) -> None:
        """The counters of workers that were started."""
        for name in ("0", "1"):
            metrics.claim(str(self.directory / "metrics"), name)

    def all_hang(self) -> None:
        """Everybody takes the connection and is never heard of again, but for one byte at times."""
        over = threading.Event()
        self._stack.callback(over.set)

        def silent(it: Any) -> None:
            over.wait()

        def trickle(it: Any) -> None:
            while not over.wait(0.1):
                it.wfile.write(b" ")

        for name in ("supervisor.sock", "status.sock", "worker-0.status"):
            self.answer(name, silent)
        self.answer("worker-1.status", trickle)


@contextmanager
def parts() -> Iterator[Parts]:
    """An empty directory for the parts, which end with the block."""
    with ExitStack() as stack:
        yield Parts(stack)


@contextmanager
def healthy() -> Iterator[Parts]:
    """A stack in which all is well."""
    with parts() as found:
        found.worker("0")
        found.worker("1")
        found.nginx()
        found.supervisor(PROCESSES)
        found.counters()
        yield found


def look(settings: Settings) -> dict[str, Any]:
    """A snapshot by somebody with time: the machine may be busy, and who answers does so."""
    return snapshot.take(settings, limit=30)


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.monotonic()
    call()
    return time.monotonic() - began


def metrics_document(requests: int = 10, **changes: Any) -> dict[str, Any]:
    """The counters of a worker that has answered some requests."""
    histogram = {"buckets": [[0.005, requests - 1], [0.5, requests]], "sum_s": 0.25}
    return {
        "requests": {"1xx": 0, "2xx": requests - 2, "3xx": 0, "4xx": 1, "5xx": 1},
        "duration": {**histogram, "count": requests},
        "queue_wait": {**histogram, "count": requests},
        "slow_calls": 3,
        "hung_requests": 1,
        "rate_limited": 0,
        "refused": 0,
        "client_disconnects": 0,
        "received_bytes": 1000,
        "sent_bytes": 2000,
        "starts": 2,
        "internal_errors": 0,
        **changes,
    }


def disk_document(**changes: Any) -> dict[str, Any]:
    """A file system that is half full."""
    return {
        "path": "/run",
        "free_bytes": 2**30,
        "total_bytes": 2**31,
        "free_files": 1000,
        "total_files": 2000,
        "read_only": False,
        **changes,
    }


def failed(document: dict[str, Any]) -> dict[str, str]:
    """The messages of the checks that failed, each of which brings a remedy."""
    found = [check for check in document["checks"] if not check["ok"]]
    assert all(check["remedy"] for check in found)
    assert document["healthy"] == (not found)
    return {check["name"]: check["message"] for check in found}
