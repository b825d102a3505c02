"""What goes to a worker, what is served from disk, and what is closed."""

from __future__ import annotations

import json

import pytest

from tests.harness.nginx import Nginx

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    "target",
    [
        "/alice",
        "/%E5%B0%8F%E6%98%8E",
        "/a%2Fb",
        "//two//slashes",
        "/dots/../kept",
        "/q?a=b&c=%20+",
        "/-/login",
        "/-/status",
        "//-/nginx",
        "/-/../alice",
    ],
)
def test_the_target_reaches_the_worker_as_it_was_sent(nginx: Nginx, target: str) -> None:
    body = nginx.request(target).body
    assert json.loads(body)["line"] == f"GET {target} HTTP/1.1"


@pytest.mark.parametrize("target", ["/-/error.html", "/-/error.json", "/-/blocked"])
def test_pages_of_nginxs_own_cannot_be_asked_for(nginx: Nginx, target: str) -> None:
    before = sum(len(upstream.seen) for upstream in nginx.upstreams)
    answer = nginx.request(target)
    assert answer.status == 404
    assert sum(len(upstream.seen) for upstream in nginx.upstreams) == before


def test_an_application_answer_passes_through_untouched_whatever_its_status(
    nginx: Nginx,
) -> None:
    from tests.harness.nginx import response, tell

    for upstream in nginx.upstreams:
        upstream.answer = lambda _: response(503, b"queue full", "Retry-After: 1")
    try:
        answer = nginx.request("/busy")
    finally:
        for upstream in nginx.upstreams:
            upstream.answer = tell
    assert (answer.status, answer.body) == (503, b"queue full")
    assert answer.field("Retry-After") == "1"


def test_the_server_field_tells_no_version(nginx: Nginx) -> None:
    answer = nginx.request("/")
    assert answer.field("Server") == "nginx"


def test_a_large_text_is_compressed_for_who_accepts_it(nginx: Nginx) -> None:
    answer = nginx.request("/" + "a" * 2000, fields={"Accept-Encoding": "gzip"})
    assert answer.field("Content-Encoding") == "gzip"
    assert answer.field("Vary") == "Accept-Encoding"
    answer = nginx.request("/short", fields={"Accept-Encoding": "gzip"})
    assert answer.field("Content-Encoding") is None


def test_the_same_is_served_over_ipv6_where_there_is_any(nginx: Nginx) -> None:
    from pathlib import Path

    listening = (Path(nginx.environ["NGINX_RUN_DIR"]) / "listen.conf").read_text()
    if Path("/proc/net/if_inet6").exists():
        assert f"listen [::]:{nginx.port};\n" in listening
    else:
        assert "[::]" not in listening
