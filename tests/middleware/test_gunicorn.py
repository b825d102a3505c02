"""The chain under gunicorn, the server that we compare ourselves with."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("server", timeout=20)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(self.path))


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[UnixConnection]:
    """A connection to gunicorn, which inherits a listening socket: nobody waits for its start."""
    path = tmp_path / "gunicorn.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        bind = f"fd://{listener.fileno()}"
        # The control socket would stand in the user's home directory.
        options = ["--bind", bind, "--no-control-socket"]
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("BASCULE_", "GUNICORN_"))
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *options, "bascule_middleware.wsgi:application"],
            cwd=ROOT,
            env=environment,
            pass_fds=[listener.fileno()],
            stderr=subprocess.DEVNULL,
        )
        try:
            yield UnixConnection(path)
        finally:
            process.terminate()
            process.wait(20)


def test_the_chain_serves_the_hello_application(connection: UnixConnection) -> None:
    connection.request(
        "GET", "/alice", headers={"X-Request-ID": "from-nginx", "X-Forwarded-For": "192.0.2.1"}
    )
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b"<h1>Hello, alice!</h1>")
    assert response.headers.get_all("X-Request-ID") == ["from-nginx"]
    assert response.headers["Content-Length"] == "22"
    connection.close()


def test_ids_are_made_and_malformed_fields_refused(connection: UnixConnection) -> None:
    connection.request("HEAD", "/", headers={"X-Forwarded-For": "nonsense"})
    response = connection.getresponse()
    assert response.status == 400
    assert re.fullmatch("[0-9a-f]{32}", response.headers["X-Request-ID"])
    connection.close()
