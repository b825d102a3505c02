"""What the application was sent: where it puts that, who serves it, and how large it may be."""

from __future__ import annotations

from pathlib import Path

import pytest
from bascule_ops.settings import variables

from tests.harness import repositories
from tests.harness.fetch import fetch
from tests.ops.test_static_files import Site

# Keeps a request's body under its path, and has nothing to answer a GET with.
KEEPS = """
import os
from pathlib import Path

def application(environ, start_response):
    size = int(environ.get("CONTENT_LENGTH") or 0)
    if size:
        place = Path(os.environ["MEDIA_DIR"], Path(environ["PATH_INFO"]).name)
        place.write_bytes(environ["wsgi.input"].read(size))
    start_response("201 Created" if size else "404 Not Found", [("Content-Length", "0")])
    return []
"""
MIB = 1 << 20


@pytest.mark.integration
@pytest.mark.parametrize("is_in_chain", [True, False])
def test_nginx_serves_what_was_sent(tmp_path: Path, is_in_chain: bool) -> None:
    chain = 'application = "app:application"\n'
    repositories.write(tmp_path, {"app.py": KEEPS})
    (tmp_path / "chain.toml").write_text(f'{chain}media = "sent/here"\n' if is_in_chain else chain)
    site = Site(tmp_path)
    site.settings["NGINX_CLIENT_MAX_BODY_SIZE"] = "10m"
    if not is_in_chain:
        site.settings["MEDIA_DIR"] = "sent/here"
    try:
        site.run("up", "--local")
        body = b"x" * (10 * MIB)
        assert fetch(site.port, "/a.png", "POST", body).status == 201
        reply = site.get("/media/a.png")
        assert (reply.body, reply.field("Content-Type")) == (body, "image/png")
        assert site.get("/media/b.png").status == 404
        assert (tmp_path / "sent" / "here" / "a.png").exists()
        assert fetch(site.port, "/a.png", "POST", body + b"x").status == 413
    finally:
        site.run("down")


@pytest.mark.parametrize(
    ("size", "limit"), [("2g", str(2 << 30)), ("16M", str(16 << 20)), ("9", "9"), ("0", "0")]
)
def test_the_workers_limit_of_a_body_follows_nginxs(size: str, limit: str) -> None:
    environ = {"NGINX_CLIENT_MAX_BODY_SIZE": size}
    variables.set_defaults(environ)
    assert environ["BASCULE_LIMIT_REQUEST_BODY"] == limit


@pytest.mark.parametrize("size", ["", "much"])
def test_without_a_size_of_nginxs_it_has_its_own_default(size: str) -> None:
    environ = {"NGINX_CLIENT_MAX_BODY_SIZE": size}
    variables.set_defaults(environ)
    assert "BASCULE_LIMIT_REQUEST_BODY" not in environ


def test_one_of_its_own_goes_first() -> None:
    environ = {"NGINX_CLIENT_MAX_BODY_SIZE": "2g", "BASCULE_LIMIT_REQUEST_BODY": "5"}
    variables.set_defaults(environ)
    assert environ["BASCULE_LIMIT_REQUEST_BODY"] == "5"
