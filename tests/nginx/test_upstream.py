"""How requests are spread over the workers, and what happens when one is away."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.harness.nginx import Nginx

pytestmark = pytest.mark.integration


def test_a_worker_without_a_socket_costs_no_request_not_even_a_post(binary: str) -> None:
    with Nginx(binary) as nginx:
        nginx.upstream("worker-1.sock")
        for number in range(20):
            method = ("GET", "POST")[number % 2]
            answer = nginx.request(f"/{number}", method, b"data")
            assert answer.status == 200
            assert json.loads(answer.body)["body"] == "data"


def test_a_worker_that_comes_back_is_used_at_once(binary: str) -> None:
    with Nginx(binary) as nginx:
        nginx.upstream("worker-1.sock")
        for number in range(4):
            nginx.request(f"/{number}")
        back = nginx.upstream("worker-0.sock")
        for number in range(4):
            nginx.request(f"/{number}")
        assert back.seen


def test_a_post_that_was_sent_is_not_sent_again(nginx: Nginx) -> None:
    from tests.harness.nginx import tell

    for upstream in nginx.upstreams:
        upstream.answer = lambda _: None
    try:
        answer = nginx.request("/once", "POST", b"order")
    finally:
        for upstream in nginx.upstreams:
            upstream.answer = tell
    sent = [seen for each in nginx.upstreams for seen in each.seen if "/once " in seen["line"]]
    assert answer.status == 502
    assert len(sent) == 1


class Dying:
    """Hangs for so long (seconds), whatever it is asked, and then hangs up."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __call__(self, seen: Mapping[str, object]) -> bytes | None:
        time.sleep(self._seconds)  # the worker's pace
        return None


@pytest.mark.parametrize("said_by", ["setting", "workers"])
def test_a_get_that_hung_for_all_of_the_workers_deadline_goes_on_to_no_other(
    binary: str, said_by: str
) -> None:
    nginx = Nginx(binary, BASCULE_TIMEOUT="0.6" if said_by == "setting" else "60")
    if said_by == "workers":
        (nginx.run_dir / "timeout").write_text("0.600\n")
    with nginx:
        workers = [nginx.upstream(f"worker-{number}.sock") for number in range(2)]
        for each in workers:
            each.answer = Dying(0.6)
        assert nginx.request("/hangs").status == 502
        assert sum(len(each.seen) for each in workers) == 1


def test_a_get_whose_worker_died_before_its_deadline_goes_on_to_another(binary: str) -> None:
    with Nginx(binary, BASCULE_TIMEOUT="60") as nginx:
        dying, other = (nginx.upstream(f"worker-{number}.sock") for number in range(2))
        dying.answer = Dying(0.6)
        while not dying.seen:
            assert nginx.request("/").status == 200
        assert other.seen


@pytest.mark.parametrize(
    ("settings", "retries", "reads"),
    [
        ({}, "25000ms", "40s"),
        ({"BASCULE_TIMEOUT": "6"}, "5000ms", "40s"),
        ({"BASCULE_TIMEOUT": "60"}, "50000ms", "70s"),
        ({"BASCULE_TIMEOUT": "0"}, "33333ms", "40s"),
        ({"NGINX_PROXY_READ_TIMEOUT": "1m"}, "25000ms", "1m"),
        ({"NGINX_PROXY_READ_TIMEOUT": "12"}, "10000ms", "12"),
        ({"BASCULE_TIMEOUT": "7200", "NGINX_PROXY_READ_TIMEOUT": "1h"}, "3000000ms", "1h"),
    ],
)
def test_what_nginx_waits_for_follows_from_the_workers_deadline(
    binary: str, settings: dict[str, str], retries: str, reads: str
) -> None:
    with Nginx(binary, **settings) as nginx:
        site = Path(nginx.environ["NGINX_RUN_DIR"], "snippets", "site.conf").read_text()
    assert f"proxy_next_upstream_timeout {retries};" in site
    assert f"proxy_read_timeout {reads};" in site


def test_a_body_arrives_whole_and_with_a_length_although_the_client_sent_chunks(
    nginx: Nginx,
) -> None:
    received = nginx.raw(
        b"POST /chunks HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
        b"\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    seen = json.loads(received[received.index(b"{") : received.rindex(b"}") + 1])
    assert seen["body"] == "abcde"
    assert dict(seen["fields"])["Content-Length"] == "5"


def test_connections_to_workers_are_kept_alive(nginx: Nginx) -> None:
    body = nginx.request("/keep").body
    assert "Connection" not in dict(json.loads(body)["fields"])


def test_other_sockets_can_be_named_for_the_baseline(binary: str) -> None:
    with Nginx(binary, NGINX_UPSTREAM_SOCKETS="gunicorn.sock") as nginx:
        nginx.upstream("gunicorn.sock")
        body = nginx.request("/").body
        assert json.loads(body)["worker"] == "gunicorn.sock"


def test_nginx_shows_its_own_status_on_a_socket_for_the_inside(nginx: Nginx) -> None:
    path = Path(nginx.environ["NGINX_RUN_DIR"]) / "status.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(str(path))
        sock.sendall(b"GET /-/nginx HTTP/1.0\r\n\r\n")
        received = b""
        while chunk := sock.recv(4096):
            received += chunk
    built_in = (Path(nginx.environ["NGINX_RUN_DIR"]) / "status.conf").read_text() != ""
    assert (b"Active connections" in received) == built_in
