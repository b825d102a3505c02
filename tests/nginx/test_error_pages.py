"""nginx's own pages: for people as HTML, for programs as JSON, both with the request id."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from tests.harness.nginx import Nginx, tell

pytestmark = pytest.mark.integration

JSON = {"Accept": "application/json"}
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8"}


@pytest.fixture
def nginx_without_workers(binary: str) -> Iterator[Nginx]:
    with Nginx(binary) as running:
        yield running


@pytest.fixture
def hanging(nginx: Nginx) -> Iterator[Nginx]:
    """Workers that do not answer until the test is over."""
    over = threading.Event()

    def hang(_: object) -> None:
        over.wait(10)

    for upstream in nginx.upstreams:
        upstream.answer = hang
    yield nginx
    over.set()
    for upstream in nginx.upstreams:
        upstream.answer = tell


def test_a_person_gets_a_page_that_says_what_happened_and_the_request_id(
    nginx_without_workers: Nginx,
) -> None:
    answer = nginx_without_workers.request("/alice", fields=BROWSER)
    page = answer.body.decode()
    assert answer.status == 502
    assert answer.field("Content-Type") == "text/html"
    assert "<h1>The application is not answering</h1>" in page
    assert f"<code>{answer.field('X-Request-ID')}</code>" in page
    assert "<!--#" not in page
    assert "nginx" not in page
    assert answer.field("Cache-Control") == "no-store"
    assert answer.field("X-Content-Type-Options") == "nosniff"


def test_a_program_gets_json(nginx_without_workers: Nginx) -> None:
    answer = nginx_without_workers.request("/alice", fields=JSON)
    assert answer.field("Content-Type") == "application/json"
    request_id = answer.field("X-Request-ID")
    assert json.loads(answer.body) == {"status": 502, "request_id": request_id}
    assert nginx_without_workers.log("/alice")["request_id"] == request_id


def test_a_post_gets_the_page_as_well(nginx_without_workers: Nginx) -> None:
    answer = nginx_without_workers.request("/x", "POST", b"a=b")
    assert answer.status == 502
    assert b"is not answering" in answer.body


def test_a_worker_that_is_too_slow_is_504(hanging: Nginx) -> None:
    answer = hanging.request("/slow", "POST", b"x")
    assert answer.status == 504
    assert b"This took too long" in answer.body


def test_a_body_that_is_too_large_is_413_and_no_worker_hears_of_it(nginx: Nginx) -> None:
    before = sum(len(upstream.seen) for upstream in nginx.upstreams)
    answer = nginx.request("/upload", "POST", b"x" * 150_000)
    assert answer.status == 413
    assert b"That is too large" in answer.body
    assert sum(len(upstream.seen) for upstream in nginx.upstreams) == before


def test_a_request_that_is_no_http_is_400_with_our_page(nginx: Nginx) -> None:
    received = nginx.raw(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"could not be understood" in received


def test_a_hidden_file_is_our_404(nginx: Nginx) -> None:
    answer = nginx.request("/static/.none")
    assert answer.status == 404
    assert b"There is nothing here" in answer.body
