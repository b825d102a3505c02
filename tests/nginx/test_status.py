"""The inside listener: who is behind it, and where it listens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.fetch import fetch
from tests.harness.nginx import Nginx, response
from tests.harness.ports import free_port
from tests.harness.waiting import LIMIT, wait_until

pytestmark = pytest.mark.integration


def status_socket(nginx: Nginx) -> Path:
    """Where the inside listener is where there is no port."""
    return Path(nginx.environ["NGINX_RUN_DIR"]) / "status.sock"


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
    for inside in (("localhost", port), status_socket(nginx)):
        reply = fetch(inside, target, limit=LIMIT)
        assert (reply.status, reply.json["line"]) == (200, f"GET {target} HTTP/1.1")


def test_it_tells_how_many_workers_it_knows(observed: tuple[Nginx, int]) -> None:
    _, port = observed
    reply = fetch(port, "/-/workers", limit=LIMIT)
    assert (reply.status, reply.body) == (200, b"2")


def test_sockets_with_names_of_their_own_are_not_counted(binary: str) -> None:
    with Nginx(binary, NGINX_UPSTREAM_SOCKETS="other.sock") as nginx:
        assert fetch(status_socket(nginx), "/-/workers", limit=LIMIT).status == 404


def test_the_observer_is_told_the_name_that_it_was_asked_by(observed: tuple[Nginx, int]) -> None:
    _, port = observed
    reply = fetch(port, "/-/status", fields={"Host": "evil.example:8081"}, limit=LIMIT)
    assert ["Host", "evil.example:8081"] in reply.json["fields"]


@pytest.mark.parametrize("target", ["/", "/alice", "/static/bascule.svg"])
def test_the_site_is_not_behind_it(observed: tuple[Nginx, int], target: str) -> None:
    _, port = observed
    assert fetch(("localhost", port), target, limit=LIMIT).status == 404


def test_what_is_behind_it_is_not_on_the_site(observed: tuple[Nginx, int]) -> None:
    nginx, _ = observed
    nginx.upstream("worker-0.sock").answer = lambda _: response(200, b"the application")
    for target in ("/-/metrics", "/-/status", "/-/status.json", "/-/nginx", "/-/workers"):
        assert nginx.request(target).body == b"the application"


def test_without_an_observer_it_says_what_to_do(binary: str) -> None:
    with Nginx(binary) as nginx:
        reply = fetch(status_socket(nginx), "/-/metrics", limit=LIMIT)
        assert (reply.status, b"ops/status" in reply.body) == (503, True)
        observer = nginx.upstream("observer.sock")
        observer.answer = lambda _: response(200, b"here")

        def is_there() -> bool:
            reply = fetch(status_socket(nginx), "/-/metrics", limit=LIMIT)
            return (reply.status, reply.body) == (200, b"here")

        wait_until(is_there, "the observer")


def test_no_port_is_opened_that_nobody_asked_for(binary: str) -> None:
    with Nginx(binary) as nginx:
        assert (Path(nginx.environ["NGINX_RUN_DIR"]) / "listen_status.conf").read_text() == ""
