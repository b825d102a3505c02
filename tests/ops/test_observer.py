"""The observer's application: its pages, and whom it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from bascule_ops.observe.application import Application, is_own_name

from tests.ops.observed import healthy


@dataclass(frozen=True)
class Reply:
    status: int
    fields: dict[str, str]
    body: bytes


@pytest.fixture
def application(page: Path) -> Iterator[Application]:
    with healthy() as stack:
        yield Application(stack.settings, page)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A directory with files, in the place of the page's own."""
    directory = tmp_path / "static"
    (directory / "vendor").mkdir(parents=True)
    (directory / "index.html").write_text("<!doctype html>")
    (directory / "page.js").write_text("let a")
    (directory / "vendor" / "chart.min.css").write_text("a {}")
    (directory / "notes.md").write_text("not for browsers")
    (directory / ".hidden.js").write_text("hidden")
    (tmp_path / "outside.js").write_text("outside")
    (directory / "link.js").symlink_to(tmp_path / "outside.js")
    return directory


def ask(application: Application, path: str, method: str = "GET", **fields: str) -> Reply:
    environ = {"SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": ""}
    environ |= {"REQUEST_METHOD": method, "HTTP_HOST": "localhost:8081"} | fields
    setup_testing_defaults(environ)
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: object = None
    ) -> object:
        started.append((status, headers))
        return lambda data: None

    body = validator(application)(environ, start_response)  # type: ignore[arg-type]
    content = b"".join(body)
    body.close()  # type: ignore[attr-defined]
    ((status, headers),) = started
    return Reply(int(status[:3]), {name.lower(): value for name, value in headers}, content)


def test_the_snapshot_is_served_as_json_that_nobody_keeps(application: Application) -> None:
    reply = ask(application, "/-/status.json")
    assert (reply.status, reply.fields["content-type"]) == (200, "application/json")
    assert reply.fields["cache-control"] == "no-store"
    document = json.loads(reply.body)
    assert [worker["worker"] for worker in document["workers"]] == ["0", "1"]


def test_metrics_are_served_in_prometheuss_format(application: Application) -> None:
    reply = ask(application, "/-/metrics")
    assert reply.fields["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b'\nbascule_worker_up{worker="1"} 1.0\n' in reply.body


@pytest.mark.parametrize(
    ("path", "media_type", "content"),
    [
        ("/-/status", "text/html; charset=utf-8", b"<!doctype html>"),
        ("/-/status/page.js", "text/javascript; charset=utf-8", b"let a"),
        ("/-/status/vendor/chart.min.css", "text/css; charset=utf-8", b"a {}"),
    ],
)
def test_the_pages_files_are_served_with_fixed_types(
    application: Application, path: str, media_type: str, content: bytes
) -> None:
    reply = ask(application, path)
    assert (reply.status, reply.fields["content-type"], reply.body) == (200, media_type, content)
    again = ask(application, path, HTTP_IF_NONE_MATCH=f'"x", W/{reply.fields["etag"]}')
    assert (again.status, again.body) == (304, b"")


def test_a_file_that_changed_is_sent_again(application: Application, page: Path) -> None:
    etag = ask(application, "/-/status").fields["etag"]
    (page / "index.html").write_text("<!doctype html><title>New</title>")
    assert ask(application, "/-/status", HTTP_IF_NONE_MATCH=etag).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/-/",
        "/-/nginx",
        "/",
        "/-/status/none.js",
        "/-/status/notes.md",
        "/-/status/.hidden.js",
        "/-/status/link.js",
        "/-/status/vendor",
        "/-/status/vendor/",
        "/-/status/../outside.js",
        "/-/status/vendor/../page.js",
        "/-/status//page.js",
        "/-/status/page.js/",
        "/-/status/page.js\n",
        "/-/status/\0.js",
        "/-/status/..%2Foutside.js",
        "/-/status.json/",
        "/page.js",
    ],
)
def test_nothing_else_is_there(application: Application, path: str) -> None:
    assert ask(application, path).status == 404


def test_a_slash_too_many_leads_to_the_page(application: Application) -> None:
    reply = ask(application, "/-/status/")
    assert (reply.status, reply.fields["location"]) == (308, "/-/status")


@pytest.mark.parametrize("path", ["/-/status.json", "/-/metrics", "/-/status", "/-/none"])
def test_every_answer_has_a_strict_policy(application: Application, path: str) -> None:
    fields = ask(application, path).fields
    assert fields["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert fields["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in fields


def test_head_is_get_without_the_body(application: Application) -> None:
    for path in ("/-/status", "/-/metrics", "/-/none"):
        get, head = ask(application, path), ask(application, path, "HEAD")
        assert (head.status, head.body) == (get.status, b"")
        assert head.fields["content-type"] == get.fields["content-type"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_can_be_changed(application: Application, method: str) -> None:
    reply = ask(application, "/-/status.json", method)
    assert (reply.status, reply.fields["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost:8081", "127.0.0.1:9", "[::1]:8081", "[::1]", "172.17.0.3:8081"),
        *("nginx:8081", "bascule-nginx-1", "LOCALHOST.", "a.localhost", "host.docker.internal:1"),
    ],
)
def test_names_that_nobody_on_the_internet_can_own_are_answered(host: str) -> None:
    assert is_own_name(host)


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8081", "127.0.0.1.evil.example", "evil.localhost.example"),
        *("localhost.evil.example", "evil.example.", "1.2.3"),
    ],
)
def test_a_name_that_somebody_may_own_is_refused(application: Application, host: str) -> None:
    assert not is_own_name(host)
    assert ask(application, "/-/status.json", HTTP_HOST=host).status == 421
