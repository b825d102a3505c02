"""The page's files and a scene's snapshots, over TCP on the loopback."""

from __future__ import annotations

import json
import mimetypes
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bascule_ops.observe.application import CONTENT_SECURITY_POLICY

from tests.page import scenes

STATIC = Path(__file__).parents[2] / "ops/bascule_ops/observe/static"
Scene = Callable[[float], dict[str, Any]]


class FixtureServer(ThreadingHTTPServer):
    """Answers as the observer does, with `scene`; what it is may change at any time.

    In a scene, two seconds pass from one question to the next, whatever the clock says.

    Attributes:
        scene: what /-/status.json tells, of the seconds since the start.
        answers: a status and a body in place of the scene's.
        asked: how often /-/status.json was asked for.
        talks: cleared while no question is answered.
    """

    daemon_threads = True

    def __init__(self, scene: Scene, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.scene = scene
        self.answers: tuple[int, bytes] | None = None
        self.asked = 0
        self.talks = threading.Event()
        self.talks.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/-/status"


class Handler(BaseHTTPRequestHandler):
    server: FixtureServer

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/-/status.json":
            self.server.asked += 1
            taken = json.dumps(self.server.scene(2.0 * self.server.asked)).encode()
            self.server.talks.wait()
            status, body = self.server.answers or (200, taken)
            self.answer(status, "application/json", body)
        elif path == "/-/status":
            self.answer(200, "text/html; charset=utf-8", (STATIC / "index.html").read_bytes())
        elif (file := self.static(path)) is not None:
            kind = mimetypes.guess_type(file.name)[0] or "text/plain"
            self.answer(200, kind, file.read_bytes())
        else:
            self.answer(404, "text/plain", b"")

    def static(self, path: str) -> Path | None:
        known = {f"/-/status/{file.relative_to(STATIC)}": file for file in STATIC.rglob("*.*")}
        return known.get(path)

    def answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


if __name__ == "__main__":
    server = FixtureServer(getattr(scenes, sys.argv[1]), int(sys.argv[2]))
    print(server.url)
    server.serve_forever()
