"""An application that changes the working directory: every path stays where the start put it."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest
from bascule.told.metrics import read

from tests.harness.client import Client
from tests.harness.waiting import wait_until

from .project import HELLO, ProjectServer, names_in, project, served
from .requests import get

MOVES_AT_IMPORT = "import os\nos.chdir('/')\n" + HELLO
MOVES_IN_A_CALL = """
import os

def application(environ, start_response):
    os.chdir("/")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""
FLAGS = (
    "--status-socket", "app.status", "--access-logfile", "app.log", "--metrics-file", "app.metrics",
    "--hold", "app.hold",
)  # fmt: skip
NAMES = {"app.sock", "app.status", "app.log", "app.metrics"}


def ask(server: ProjectServer) -> None:
    with server.client() as client:
        assert client.request(get()).body == b"hello"


def status(path: Path) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        return client.makefile().read()


@pytest.mark.parametrize("source", [MOVES_AT_IMPORT, MOVES_IN_A_CALL], ids=["import", "call"])
def test_sockets_logs_and_metrics_are_in_the_directory_of_the_start(source: str) -> None:
    with served(source, *FLAGS) as server:
        ask(server)
        log = server.directory / "app.log"
        wait_until(lambda: log.exists() and "GET /" in log.read_text(), "a line of the log")
        assert names_in(server.directory) == NAMES
        assert '"state": "serving"' in status(server.directory / "app.status")
        log.rename(server.directory / "app.log.1")
        server.signal(signal.SIGUSR1)
        wait_until(log.exists, "the log, opened anew")
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        (metrics,) = read(server.directory / "app.metrics")
        assert metrics.requests["2xx"] >= 1
        assert names_in(server.directory) == {"app.log", "app.log.1", "app.metrics"}


def test_a_hold_file_is_looked_for_in_the_directory_of_the_start() -> None:
    with served(MOVES_AT_IMPORT, *FLAGS) as old:
        hold = old.directory / "app.hold"
        hold.touch()
        with project(MOVES_AT_IMPORT) as new:
            new.argv = old.argv
            new.start_there(directory=old.directory)
            held = old.directory / f".app.sock.{new.pid}"
            wait_until(lambda: held.exists() or not new.is_running(), "the new one")
            with Client(str(held)) as client:  # it has its application
                assert client.request(get()).status == 200
            assert "Serving" not in new.err
            hold.unlink()
            new.said("Serving")
            assert not held.exists()


def test_what_a_chain_names_is_seen_from_its_file() -> None:
    chain = """
application = "site_:application"
[[links]]
use = "allowlist"
file = "rules"
"""
    files = {"chain.toml": chain, "rules": "allow unix\n"}
    with served(MOVES_AT_IMPORT, "--chain", "chain.toml", files=files) as server:
        ask(server)
