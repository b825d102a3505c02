"""Trying new workers while those of another container serve on the same sockets."""

from __future__ import annotations

import http.server
import socketserver
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.harness.processes import ROOT

pytestmark = pytest.mark.integration

# Tries one worker that supervisord is about to start again: it has no process just then.
TRIAL = """
import sys
from pathlib import Path
from bascule_ops.supervision.client import State
from bascule_ops.supervision.trial import Generation, NotReadyError

class Supervisord:
    def processes(self):
        return [{"group": "bascule", "name": "worker-0", "pid": 0, "state": State.BACKOFF, "start": 0}]

try:
    print(Generation(Supervisord(), Path(sys.argv[1]), "/", Path(sys.argv[1])).try_all(0.3))
except NotReadyError as error:
    print(f"not ready: {error}")
"""


class Old(http.server.BaseHTTPRequestHandler):
    """The worker that serves."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing; a unix socket's client has no address to tell."""


def test_a_worker_without_a_process_is_not_taken_for_one_of_the_container_that_serves(
    tmp_path: Path,
) -> None:
    with socketserver.ThreadingUnixStreamServer(str(tmp_path / "worker-0.sock"), Old) as server:
        threading.Thread(target=server.serve_forever).start()
        done = subprocess.run(
            # In a pid namespace of its own, as a container is.
            ["unshare", "--user", "--pid", "--fork", sys.executable, "-c", TRIAL, tmp_path],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        server.shutdown()
    assert done.stdout.startswith("not ready: worker-0: no answer"), done.stdout + done.stderr
