"""Files that are cut short while a client reads them slowly."""

from __future__ import annotations

import os
import socket

import pytest

from .project import served
from .requests import get

SITE = """
import os

SIZE = 64 * 1024 * 1024

def application(environ, start_response):
    with open("file", "wb") as file:
        file.truncate(SIZE)
    fields = [("Content-Length", str(SIZE))] if environ["PATH_INFO"] == "/length" else []
    start_response("200 OK", fields)
    return environ["wsgi.file_wrapper"](open("file", "rb"))
"""
SIZE = 64 * 1024 * 1024


@pytest.mark.parametrize("path", ["/length", "/"])
def test_its_response_is_cut_short_and_its_request_named(path: str) -> None:
    with served(SITE) as server:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(server.address)
            client.sendall(get(path, "X-Request-ID: shrinks"))
            received = len(client.recv(1000))  # it has begun, and waits for its client
            os.truncate(server.directory / "file", 4096)
            while data := client.recv(1024 * 1024):
                received += len(data)
            assert received < SIZE
        assert "request_id=shrinks" in server.said("A file became shorter while it was sent")
