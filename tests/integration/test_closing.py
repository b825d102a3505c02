"""close() is called exactly once for each iterable, however its response ends."""

from __future__ import annotations

import json

import pytest

from tests.harness.servers import bascule_command, running, scratch
from tests.harness.waiting import wait_until

from .gate import Gate
from .requests import get, head


def closes(server, path: str) -> int:
    """Ask the application how often close() was called for `path`."""
    with server.client() as client:
        return json.loads(client.request(get("/count")).body).get(path, 0)


@pytest.mark.parametrize(
    "path",
    ["/list", "/generator", "/no-content", "/raises", "/wrong-type", "/short", "/long", "/file",
     "/unread"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_close_is_called_once(path: str, method: str, bascule) -> None:
    server = bascule["closes"]
    before = closes(server, path)
    with server.client() as client:
        client.send(head(method, path, "Connection: close"))
        client.read(method=method)
        client.read_ending()
    wait_until(lambda: closes(server, path) > before, "close()")
    assert closes(server, path) == before + 1


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_close_is_called_once_when_the_client_leaves_amid_the_response(leave: str) -> None:
    with scratch() as directory, Gate(directory) as gate:
        command = bascule_command("--threads", "2")
        with running(command, "gate", env=gate.env) as server:
            client = server.client(receive_buffer=4096)
            client.send(get("/endless"))
            assert client.socket.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
            getattr(client, leave)()
            visit = gate.visit()
            assert visit.name == "closed"
            visit.release()
            with server.client() as other:
                assert other.request(get()).status == 200
            server.stop()
            assert gate.nobody_else()


def test_a_client_that_leaves_before_the_answer_harms_nobody() -> None:
    with scratch() as directory, Gate(directory) as gate:
        command = bascule_command("--threads", "2")
        with running(command, "gate", env=gate.env) as server:
            client = server.client()
            client.send(get("/wait"))
            visit = gate.visit()
            client.reset()
            visit.release()
            with server.client() as other:
                assert other.request(get()).status == 200
            assert server.stop() == 0
            assert "Traceback" not in server.err
