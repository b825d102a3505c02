"""The inside listener: who is behind it, and where it listens."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.ports import free_port
from tests.nginx.harness import LIMIT, Nginx, response, wait_for

pytestmark = pytest.mark.integration


class Inside(http.client.HTTPConnection):
    """A connection to the inside listener's port, or without one to its unix socket."""

    def __init__(self, nginx: Nginx, port: int | None = None) -> None:
        super().__init__("localhost", port, timeout=LIMIT)
        self._path = None if port else Path(nginx.environ["NGINX_RUN_DIR"]) / "status.sock"

    def connect(self) -> None:
        if self._path is None:
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))

    def get(self, target: str, **fields: str) -> tuple[int, bytes]:
        self.request("GET", target, headers=fields)
        answer = self.getresponse()
        body = answer.read()
        self.close()
        return answer.status, body


@pytest.fixture(scope="module")
def observed(binary: str) -> Iterator[tuple[Nginx, int]]:
    """An nginx with an inside port, and an observer."""
    port = free_port()
    settings = {"NGINX_STATUS_PORT": str(port), "NGINX_STATUS_HOST": "127.0.0.1"}
    with Nginx(binary, **settings) as nginx:
        nginx.upstream("observer.sock")
        yield nginx, port


@pytest.mark.parametrize("target", ["/-/metrics", "/-/status", "/-/status.json", "/-/status/a.js"])
def test_the_port_and_the_socket_lead_to_the_observer(
    observed: tuple[Nginx, int], target: str
) -> None:
    nginx, port = observed
    for inside in (Inside(nginx, port), Inside(nginx)):
        status, body = inside.get(target)
        assert (status, json.loads(body)["line"]) == (200, f"GET {target} HTTP/1.1")


def test_the_observer_is_told_the_name_that_it_was_asked_by(observed: tuple[Nginx, int]) -> None:
    nginx, port = observed
    _, body = Inside(nginx, port).get("/-/status", Host="evil.example:8081")
    assert ["Host", "evil.example:8081"] in json.loads(body)["fields"]


@pytest.mark.parametrize("target", ["/", "/alice", "/static/bascule.svg"])
def test_the_site_is_not_behind_it(observed: tuple[Nginx, int], target: str) -> None:
    nginx, port = observed
    assert Inside(nginx, port).get(target)[0] == 404


def test_what_is_behind_it_is_closed_on_the_site(observed: tuple[Nginx, int]) -> None:
    nginx, _ = observed
    for target in ("/-/metrics", "/-/status", "/-/status.json", "/-/status/a.js", "/-/none"):
        assert nginx.request(target)[0].status == 404


def test_without_an_observer_it_says_what_to_do(binary: str) -> None:
    with Nginx(binary) as nginx:
        status, body = Inside(nginx).get("/-/metrics")
        assert (status, b"ops/status" in body) == (503, True)
        observer = nginx.upstream("observer.sock")
        observer.answer = lambda _: response(200, b"here")
        wait_for(lambda: Inside(nginx).get("/-/metrics") == (200, b"here"), "the observer")


def test_no_port_is_opened_that_nobody_asked_for(binary: str) -> None:
    with Nginx(binary) as nginx:
        assert (Path(nginx.environ["NGINX_RUN_DIR"]) / "listen_status.conf").read_text() == ""
