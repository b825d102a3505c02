"""How requests are spread over the workers, and what happens when one is away."""

from __future__ import annotations

import json
import socket
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
