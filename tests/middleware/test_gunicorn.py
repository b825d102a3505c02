"""The chain under gunicorn, the server that we compare ourselves with."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.harness.fetch import Connection, ask, connect
from tests.harness.processes import Process, inherited


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """A connection to gunicorn, which inherits a listening socket: nobody waits for its start."""
    path = tmp_path / "gunicorn.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        bind = f"fd://{listener.fileno()}"
        # The control socket would stand in the user's home directory.
        options = ["--bind", bind, "--no-control-socket"]
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            *options,
            "bascule_middleware.wsgi:application",
        ]
        with (
            Process(command, env=inherited(), pass_fds=[listener.fileno()]),
            closing(connect(path, limit=20)) as connection,
        ):
            yield connection


def test_the_chain_serves_the_hello_application(connection: Connection) -> None:
    fields = {"X-Request-ID": "from-nginx", "X-Forwarded-For": "192.0.2.1"}
    reply = ask(connection, "/alice", fields=fields)
    assert (reply.status, reply.body) == (200, b"<h1>Hello, alice!</h1>")
    assert "X-Request-ID" not in reply.fields  # nginx knows it
    assert reply.fields["Content-Length"] == "22"


def test_ids_are_made_and_malformed_fields_refused(connection: Connection) -> None:
    reply = ask(connection, "/", "HEAD", fields={"X-Forwarded-For": "nonsense"})
    assert reply.status == 400
    assert re.fullmatch("[0-9a-f]{32}", reply.fields["X-Request-ID"])
