"""Files under /media/, which somebody has sent: what a browser may do with them, and what is not there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.nginx import Nginx

pytestmark = pytest.mark.integration

SCRIPT = "<script>alert(document.cookie)</script>"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that an application would have filled; its name is not that of the path."""
    directory = tmp_path_factory.mktemp("sent") / "up loads"
    (directory / "2026").mkdir(parents=True)
    for name in (
        "page.html",
        "run.js",
        "style.css",
        "old.xml",
        "program",
        "image.svg",
        "2026/a.PNG",
    ):
        (directory / name).write_text(SCRIPT)
    (directory / ".secret").write_text("SECRET=x")
    (directory.parent / "secret").write_text("SECRET=x")
    (directory / "key.txt").symlink_to(directory.parent / "secret")
    (directory / "style.css.gz").write_bytes(b"not compressed at all")
    return directory


@pytest.fixture(scope="module")
def site(binary: str, files: Path) -> Iterator[Nginx]:
    """An nginx that serves them, before one worker."""
    with Nginx(binary, MEDIA_DIR=str(files), WORKERS="1") as running:
        running.upstream("worker-0.sock")
        yield running


@pytest.mark.parametrize("name", ["page.html", "run.js", "style.css", "old.xml", "program"])
def test_what_could_run_is_bytes_to_be_downloaded(site: Nginx, name: str) -> None:
    """As a script it is not even taken from a page of the site: its type is none of a script's."""
    answer = site.request(f"/media/{name}", fields={"Accept-Encoding": "gzip"})
    assert answer.text == SCRIPT
    assert answer.field("Content-Type") == "application/octet-stream"
    assert answer.field("X-Content-Type-Options") == "nosniff"
    assert answer.field("Cache-Control") == "no-cache"


def test_an_image_is_shown(site: Nginx) -> None:
    answer = site.request("/media/2026/a.PNG")
    assert answer.field("Content-Type") == "image/png"
    assert answer.field("X-Content-Type-Options") == "nosniff"
    assert answer.field("Content-Security-Policy") is None
    same = site.request("/media/2026/a.PNG", fields={"If-None-Match": answer.field("ETag") or ""})
    assert same.status == 304
    part = site.request("/media/2026/a.PNG", fields={"Range": "bytes=0-7"})
    assert (part.status, part.text) == (206, "<script>")


def test_an_svg_that_is_opened_by_itself_runs_no_script(site: Nginx) -> None:
    answer = site.request("/media/image.svg")
    assert answer.field("Content-Type") == "image/svg+xml"
    policy = answer.field("Content-Security-Policy") or ""
    assert {"sandbox", "default-src 'none'"} <= set(policy.split("; "))


@pytest.mark.parametrize(
    "target",
    ["/media/none", "/media/", "/media/2026", "/media/2026/", "/media", "/media/page.html/a%2Fb?c"],
)
def test_what_is_no_file_is_the_applications_to_answer(site: Nginx, target: str) -> None:
    assert json.loads(site.request(target).body)["line"] == f"GET {target} HTTP/1.1"


@pytest.mark.parametrize(
    "target",
    [
        "/media/.secret",
        "/media/../secret",
        "/media/%2e%2e/secret",
        "/media../secret",
        "/media/key.txt",
    ],
)
def test_neither_hidden_files_nor_what_lies_outside_are_served(site: Nginx, target: str) -> None:
    assert b"SECRET" not in site.request(target).body


def test_where_no_directory_is_named_all_of_it_is_the_applications(binary: str) -> None:
    with Nginx(binary, WORKERS="1") as running:
        running.upstream("worker-0.sock")
        seen = json.loads(running.request("/media/a.png").body)
        assert seen["line"] == "GET /media/a.png HTTP/1.1"


def test_it_is_the_same_while_a_reload_is_prepared(site: Nginx) -> None:
    """Where nginx is one that needs that."""
    closing = Path(site.environ["NGINX_RUN_DIR"]) / "closing"
    closing.touch()
    try:
        for target in ("/media/2026/a.PNG", "/media/none", "/static/none"):
            during = site.request(target)
            assert during.status == 200
            if target.endswith("none"):
                assert json.loads(during.body)["line"] == f"GET {target} HTTP/1.1"
            else:
                assert during.field("Content-Type") == "image/png"
    finally:
        closing.unlink()


def test_an_upload_limit_that_no_place_is_there_for_ends_the_start(binary: str) -> None:
    from tests.harness.processes import Process

    process = Nginx(binary, NGINX_CLIENT_MAX_BODY_SIZE="900000g")
    with Process(
        ["/bin/sh", "nginx/docker-entrypoint.sh", "check"], env=process.environ
    ) as running:
        assert running.wait(10) == 2
        assert 'nginx: NGINX_CLIENT_MAX_BODY_SIZE is "900000g": uploads wait in ' in running.err
