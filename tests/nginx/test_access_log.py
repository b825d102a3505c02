"""One JSON object a request, whatever the client sends."""

from __future__ import annotations

import re
import socket

import pytest

from tests.harness.nginx import Nginx, response
from tests.harness.waiting import LIMIT, wait_until

pytestmark = pytest.mark.integration


def test_a_line_has_what_one_needs_to_follow_a_request(nginx: Nginx) -> None:
    answer = nginx.request("/followed?a=1", fields={"User-Agent": "tester"})
    line = nginx.log("/followed?a=1")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert line["request_id"] == answer.field("X-Request-ID")
    assert line["event"] == "request"
    assert line["worker"] == "nginx"
    assert line["remote_addr"] == "127.0.0.1"
    assert (line["method"], line["protocol"], line["status"]) == ("GET", "HTTP/1.1", 200)
    assert line["host"] == f"127.0.0.1:{nginx.port}"
    assert line["user_agent"] == "tester"
    assert line["referer"] == ""
    assert line["bytes"] > 0
    assert 0 <= line["duration_ms"] < 10_000
    assert re.fullmatch(r"unix:.*/worker-[01]\.sock", line["upstream"])
    assert line["upstream_status"] == "200"
    assert re.fullmatch(r"\d+\.\d{3}", line["upstream_time"])


def test_a_retry_shows_both_workers(binary: str) -> None:
    with Nginx(binary) as nginx:
        nginx.upstream("worker-1.sock")
        statuses = set()
        for number in range(4):
            nginx.request(f"/retry{number}")
            statuses.add(nginx.log(f"/retry{number}")["upstream_status"])
    assert "502, 200" in statuses


def test_quotes_and_backslashes_forge_nothing(nginx: Nginx) -> None:
    forged = '","status":999,"x":"\\'
    nginx.raw(
        b'GET /q"uo\\te HTTP/1.0\r\nUser-Agent: ' + forged.encode() + b"\r\nReferer: \t\x01\r\n\r\n"
    )
    line = nginx.log('/q"uo\\te')
    assert line["user_agent"] == forged
    assert line["status"] in {200, 400}


def test_bytes_that_are_no_utf_8_do_not_spoil_the_line(nginx: Nginx) -> None:
    nginx.raw(b"GET /latin-\xe9 HTTP/1.0\r\nUser-Agent: \xe9\r\nReferer: \xff\r\n\r\n")
    line = nginx.log("(not UTF-8)")
    assert line["user_agent"] == line["referer"] == "(not UTF-8)"


def test_utf_8_is_kept(nginx: Nginx) -> None:
    nginx.raw("GET /小明 HTTP/1.0\r\nUser-Agent: 🦆\r\n\r\n".encode())
    assert nginx.log("/小明")["user_agent"] == "🦆"


def test_a_duration_is_a_number_of_milliseconds(nginx: Nginx) -> None:
    import time

    from tests.harness.nginx import tell

    for upstream in nginx.upstreams:
        upstream.answer = lambda seen: (time.sleep(0.12), tell(seen))[1]
    nginx.request("/takes-120-ms")
    for upstream in nginx.upstreams:
        upstream.answer = tell
    assert 100 <= nginx.log("/takes-120-ms")["duration_ms"] < 5000


def announce_too_much(nginx: Nginx, target: str) -> None:
    """Ask for leave to send more than nginx takes; leave when it answers."""
    head = f"PUT {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n"
    with socket.create_connection(("127.0.0.1", nginx.port), LIMIT) as sock:
        sock.sendall(head.encode())
        assert sock.recv(65536).startswith(b"HTTP/1.1 413")


def test_the_method_is_the_clients_also_where_nginx_answers_with_an_error_page(
    nginx: Nginx,
) -> None:
    announce_too_much(nginx, "/too-much")
    line = nginx.log("/too-much")
    assert (line["method"], line["status"]) == ("PUT", 413)


def test_the_connections_number_leads_to_nginxs_own_errors(nginx: Nginx) -> None:
    announce_too_much(nginx, "/complained-about")
    connection = nginx.log("/complained-about")["connection"]
    wait_until(
        lambda: f"*{connection} client intended to send too large body" in nginx.process.err,
        "the line of the error log",
    )


def health_check(nginx: Nginx, target: str, address: str = "127.0.0.8") -> bytes:
    """Send what the container's health check sends; return the answer."""
    with socket.create_connection((address, nginx.port), LIMIT) as sock:
        head = f"GET {target} HTTP/1.0\r\nHost: localhost\r\nUser-Agent: bascule-health\r\n\r\n"
        sock.sendall(head.encode())
        with sock.makefile("rb") as answer:
            return answer.read()


def test_a_health_check_from_inside_is_logged_only_where_it_fails(binary: str) -> None:
    with Nginx(binary, WORKERS="1") as nginx:
        worker = nginx.upstream("worker-0.sock")
        assert b" 200 " in health_check(nginx, "/healthy")
        assert ("X-Bascule-Health", "nginx") in worker.seen[-1]["fields"]
        worker.answer = lambda _: response(404, b"")
        health_check(nginx, "/nothing-there")
        worker.answer = lambda _: response(500, b"")
        health_check(nginx, "/broken")
        assert nginx.log("/nothing-there")["status"] == 404
        assert nginx.log("/broken")["user_agent"] == "bascule-health"
        assert '"/healthy"' not in nginx.process.out


def test_nobody_hides_by_the_health_checks_name(nginx: Nginx) -> None:
    fields = {"User-Agent": "bascule-health", "X-Bascule-Health": "nginx"}
    content = nginx.request("/hides", fields=fields).body
    assert "x-bascule-health" not in content.decode().lower()
    assert nginx.log("/hides")["status"] == 200
    health_check(nginx, "/hides-as-well", "127.0.0.1")
    assert nginx.log("/hides-as-well")["status"] == 200
