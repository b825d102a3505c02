"""Files under /static/: what is served from disk, for how long it is kept, and what is not there."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

from tests.harness.nginx import Nginx

pytestmark = pytest.mark.integration

STYLE = "body { color: red }\n" * 100


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that a server would have filled."""
    directory = tmp_path_factory.mktemp("site") / "of its own"
    static = directory / "static"
    (static / "img").mkdir(parents=True)
    (static / "style.css").write_text(STYLE)
    (static / "img" / "a b.svg").write_text("<svg/>")
    (static / ".env").write_text("SECRET=x")
    (directory / "secret").write_text("SECRET=x")
    (static / "link.txt").symlink_to(directory / "secret")
    (static / "lead").symlink_to(directory)
    (static / "small.js").write_text("let plain;" * 200)
    (static / "small.js.gz").write_bytes(gzip.compress(b"let compressed;", mtime=0))
    return directory


@pytest.fixture(scope="module")
def site(binary: str, files: Path) -> Iterator[Nginx]:
    """An nginx that serves them, before one worker."""
    with Nginx(binary, NGINX_STATIC_DIR=str(files), WORKERS="1") as running:
        running.upstream("worker-0.sock")
        yield running


def test_a_file_comes_from_disk_with_a_fixed_type(site: Nginx) -> None:
    answer = site.request("/static/style.css")
    assert answer.text == STYLE
    assert answer.field("Content-Type") == "text/css"
    assert answer.field("Cache-Control") == "public, max-age=60"
    assert answer.field("X-Content-Type-Options") == "nosniff"
    assert answer.field("X-Request-ID")
    assert answer.field("ETag")
    assert site.request("/static/img/a%20b.svg?v=1").field("Content-Type") == "image/svg+xml"
    same = site.request("/static/style.css", fields={"If-None-Match": answer.field("ETag") or ""})
    assert (same.status, same.field("Cache-Control")) == (304, "public, max-age=60")
    assert not site.upstreams[0].seen


@pytest.mark.parametrize(
    "target",
    ["/static/none", "/static/", "/static/img", "/static/img/", "/static/style.css/", "/static/a%2Fb?c=%20",
     "/static/x/../none", "/static"],
)  # fmt: skip
def test_what_is_no_file_is_the_applications_to_answer(site: Nginx, target: str) -> None:
    assert json.loads(site.request(target).body)["line"] == f"GET {target} HTTP/1.1"


def test_the_applications_404_passes_as_it_is(site: Nginx) -> None:
    from tests.harness.nginx import response, tell

    site.upstreams[0].answer = lambda _: response(404, b"mine", "Cache-Control: no-cache")
    try:
        answer = site.request("/static/none")
    finally:
        site.upstreams[0].answer = tell
    assert (answer.status, answer.text) == (404, "mine")
    assert answer.field("Cache-Control") == "no-cache"


def test_a_body_and_its_method_reach_the_application(site: Nginx) -> None:
    seen = json.loads(site.request("/static/new", "POST", b"x" * 100_000).body)
    assert (seen["line"], seen["body"]) == ("POST /static/new HTTP/1.1", "x" * 100_000)
    fields = dict(seen["fields"])
    assert fields["X-Forwarded-Proto"] == "http"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_file_is_only_read(site: Nginx, method: str) -> None:
    before = len(site.upstreams[0].seen)
    assert site.request("/static/style.css", method, b"x").status in {404, 405}
    assert len(site.upstreams[0].seen) == before


def test_head_has_no_body(site: Nginx) -> None:
    answer = site.request("/static/style.css", "HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.field("Content-Length") == str(len(STYLE))


@pytest.mark.parametrize(
    "target",
    ["/static/.env", "/static/%2Eenv", "/static/.git/config", "/static/../secret", "/static/%2e%2e/secret",
     "/static../secret", "/static/link.txt", "/static/lead/secret", "/static/..%2fsecret"],
)  # fmt: skip
def test_neither_hidden_files_nor_what_lies_outside_are_served(site: Nginx, target: str) -> None:
    assert b"SECRET" not in site.request(target).body


def test_hidden_names_are_not_asked_of_the_application(site: Nginx) -> None:
    before = len(site.upstreams[0].seen)
    assert site.request("/static/.git/config").status == 404
    assert len(site.upstreams[0].seen) == before


HASHED = (
    "css/base.5af66c1b1797.css",
    "app.3f2a1b4c.js",
    "vendors-d41d8cd98f00b204e9800998ecf8427e.js",
    "main.3f2a1b4c.chunk.js.map",
    "assets/index-CSliV9zW.js",
)
PLAIN = (
    "style.css",
    "jquery-3.7.1.min.js",
    "logo-20240115.png",
    "dated.20240115.css",
    "Roboto-SemiBold.woff2",
    "site-Version2.css",
    "theme-desktop1.css",
    "my-document.css",
    "abad1deacafe.css",
    "feedface.css",
    "base.5af66c1b1797/plain.css",
    "beside-facade.css",
)


@pytest.mark.parametrize("name", [*HASHED, *PLAIN])
def test_a_name_with_a_hash_is_kept_for_a_year(site: Nginx, files: Path, name: str) -> None:
    path = files / "static" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    said = site.request(f"/static/{name}").field("Cache-Control")
    assert said == f"public, max-age={'31536000, immutable' if name in HASHED else '60'}"


def test_no_answer_of_the_application_is_kept_for_its_name(site: Nginx) -> None:
    assert site.request("/static/gone.5af66c1b1797.css").field("Cache-Control") is None


def can_compressed(nginx: Nginx) -> bool:
    """Whether this nginx is built with gzip_static, as Debian's is and the wheel's is not."""
    options = subprocess.run([nginx.environ["NGINX_BINARY"], "-V"], capture_output=True, check=True)
    return b"--with-http_gzip_static_module" in options.stderr


def test_a_compressed_file_beside_one_is_served_to_who_takes_it(site: Nginx) -> None:
    answer = site.request("/static/small.js", fields={"Accept-Encoding": "gzip"})
    if not can_compressed(site):
        assert gzip.decompress(answer.body).startswith(b"let plain;")  # compressed by itself
        return
    assert gzip.decompress(answer.body) == b"let compressed;"
    assert answer.field("Content-Encoding") == "gzip"
    assert answer.field("Content-Type") == "text/javascript"
    assert answer.field("Vary") == "Accept-Encoding"
    answer = site.request("/static/small.js")
    assert answer.text.startswith("let plain;")
    assert answer.field("Content-Encoding") is None


def test_a_module_that_this_nginx_does_not_take_is_passed_over(binary: str, tmp_path: Path) -> None:
    """As after an upgrade of the one and not of the other."""
    (tmp_path / "ngx_http_brotli_static_module.so").write_bytes(b"no module")
    fake = tmp_path / "nginx"
    others = f"{binary} -V 2>&1 | sed 's|--modules-path=[^ ]*||'"
    asked = f'if [ "$1" = -V ]; then {others}; echo " --modules-path={tmp_path} "; exit; fi'
    fake.write_text(f'#!/bin/sh\n{asked}\nexec {binary} "$@"\n')
    fake.chmod(0o755)
    (tmp_path / "static").mkdir()
    shutil.copy(__file__, tmp_path / "static" / "a.txt")
    with Nginx(str(fake), NGINX_STATIC_DIR=str(tmp_path)) as running:
        assert running.request("/static/a.txt").status == 200


def test_the_access_log_has_the_file_and_no_worker(site: Nginx) -> None:
    moment = formatdate(0, usegmt=True)
    site.request("/static/style.css?logged", fields={"If-Modified-Since": moment})
    line = site.log("/static/style.css?logged")
    assert (line["status"], line["upstream"]) == (200, "")
    site.request("/static/none?logged")
    line = site.log("/static/none?logged")
    assert (line["status"], line["upstream"].rpartition("/")[2]) == (200, "worker-0.sock")
