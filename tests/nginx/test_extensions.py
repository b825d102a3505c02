"""What a project adds to nginx: site.d and http.d, by the examples of docs/nginx.md."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.harness.nginx import Nginx, response
from tests.harness.processes import ROOT, Process
from tests.harness.waiting import LIMIT

pytestmark = pytest.mark.integration

EXAMPLE = re.compile(r"```nginx\n# nginx/(?P<path>\S+)\n(?P<text>.*?)```", re.DOTALL)
# "alice" and "secret", by `openssl passwd -apr1`.
PASSWORDS = "alice:$apr1$bascule0$KEc/YaVTomFqtD9k2KVhv1\n"
WITH_PASSWORD = {"Authorization": "Basic YWxpY2U6c2VjcmV0"}


def project(directory: Path, files: Mapping[str, str]) -> str:
    """Make a project's directory nginx; return its path."""
    for name, text in files.items():
        file = directory / "nginx" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return str(directory / "nginx")


@pytest.fixture(scope="module")
def extended(binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """One with every example of the page."""
    examples = {
        each["path"]: each["text"]
        for each in EXAMPLE.finditer((ROOT / "docs/nginx.md").read_text(encoding="utf-8"))
    }
    assert len(examples) == 4
    directory = tmp_path_factory.mktemp("project")
    given = project(directory, examples | {"site.d/passwords": PASSWORDS})
    with Nginx(binary, NGINX_PROJECT_DIR=given) as running:
        running.upstream("worker-0.sock")
        running.upstream("worker-1.sock")
        yield running


def test_a_redirect(extended: Nginx) -> None:
    answer = extended.request("/blog")
    assert (answer.status, answer.field("Location")) == (301, "https://blog.example.com/")
    answer = extended.request("/old/a/b")
    assert answer.status == 301
    assert (answer.field("Location") or "").endswith("/new/a/b")
    assert extended.request("/new/a/b").status == 200


def test_a_part_with_a_password(extended: Nginx) -> None:
    refused = extended.request("/admin/")
    assert refused.status == 401
    assert refused.field("WWW-Authenticate") == 'Basic realm="Admin"'
    wrong = extended.request("/admin/", fields={"Authorization": "Basic YWxpY2U6d3Jvbmc="})
    assert wrong.status == 401
    served = extended.request("/admin/", fields=WITH_PASSWORD)
    assert served.status == 200
    assert served.field("X-Content-Type-Options") == "nosniff"


def test_a_second_name_is_the_site_and_what_it_adds(extended: Nginx) -> None:
    other = {"Host": "staging.example.com"}
    assert b"Disallow" in extended.request("/robots.txt", fields=other).body
    served = extended.request("/alice", fields=other)
    assert ["Host", "staging.example.com"] in json.loads(served.body)["fields"]
    assert extended.request("/static/bascule.svg", fields=other).status == 200
    assert extended.request("/-/error.html", fields=other).status == 404
    # And the first block stays the one for every other name.
    assert json.loads(extended.request("/robots.txt").body)["line"] == "GET /robots.txt HTTP/1.1"


def test_a_program_that_speaks_websocket(extended: Nginx) -> None:
    def switch(seen: Mapping[str, Any]) -> bytes:
        fields = {name.lower(): value for name, value in seen["fields"]}
        if fields.get("upgrade") != "websocket" or fields.get("connection") != "upgrade":
            return response(426, b"")
        name = fields["x-forwarded-for"].encode()
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
            + name
        )

    program = extended.upstream("ws.sock")
    program.answer = switch
    with socket.create_connection(("127.0.0.1", extended.port), LIMIT) as client:
        client.sendall(
            b"GET /ws/chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"
        )
        received = client.makefile("rb")
        assert received.readline().split()[1] == b"101"
        while received.readline() != b"\r\n":
            pass
        assert received.read(9) == b"127.0.0.1"
    assert extended.request("/ws/chat").status == 426
    # The workers have nothing to do with it.
    assert extended.request("/alice", fields={"Upgrade": "websocket"}).status == 200
    assert not [f for f in extended.upstreams[0].seen if "Upgrade" in dict(f["fields"])]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("site.d/wrong.conf", "\nlocatoin / {}\n", "site.d/wrong.conf:2"),
        ("http.d/wrong.conf", "server {\n", "http.d/wrong.conf"),
        ("site.d/twice.conf", "location / { return 204; }\n", 'duplicate location "/"'),
        ("site.d/setting.conf", "\n# ${NO_SUCH}\n", "line 2: ${NO_SUCH} is no setting of nginx"),
    ],
)
def test_what_nginx_refuses_is_told_by_the_author_s_own_names(
    binary: str, tmp_path: Path, file: str, text: str, message: str
) -> None:
    given = project(tmp_path, {file: text})
    nginx = Nginx(binary, NGINX_PROJECT_DIR=given)
    with Process([ROOT / "nginx/docker-entrypoint.sh", "check"], env=nginx.environ) as checked:
        assert checked.wait(LIMIT) != 0
        assert f"{given}/{file}" in checked.err
        assert message in checked.err


def test_a_reload_takes_in_new_ones_and_keeps_the_old_where_it_cannot(
    binary: str, tmp_path: Path
) -> None:
    given = project(tmp_path, {"site.d/a.conf": "location = /a { return 204; }\n"})
    with Nginx(binary, NGINX_PROJECT_DIR=given) as nginx:
        nginx.upstream("worker-0.sock")
        nginx.upstream("worker-1.sock")
        entrypoint = ROOT / "nginx/docker-entrypoint.sh"
        assert nginx.request("/a").status == 204
        project(tmp_path, {"site.d/b.conf": "location = /b { return 204 }\n"})
        with Process([entrypoint, "reload"], env=nginx.environ) as reload:
            assert reload.wait(LIMIT) == 1
            assert f"{given}/site.d/b.conf" in reload.err
        assert not Path(nginx.environ["NGINX_RUN_DIR"], "site.d/b.conf").exists()
        project(tmp_path, {"site.d/b.conf": "location = /b { return 204; }\n"})
        Path(given, "site.d/a.conf").unlink()
        with Process([entrypoint, "reload"], env=nginx.environ) as reload:
            assert reload.wait(LIMIT) == 0
            assert "reloaded" in reload.out
        assert nginx.request("/b").status == 204
        assert nginx.request("/a").status == 200


def test_where_an_image_is_built_other_containers_have_no_names_yet(
    binary: str, tmp_path: Path
) -> None:
    entrypoint = ROOT / "nginx/docker-entrypoint.sh"
    other = "location /x/ { proxy_pass http://no-such-host.invalid:1; }\n"
    nginx = Nginx(binary, NGINX_PROJECT_DIR=project(tmp_path, {"site.d/x.conf": other}))
    with Process([entrypoint, "check-image"], env=nginx.environ) as checked:
        assert checked.wait(LIMIT) == 0
        assert "host not found in upstream" in checked.err
    project(tmp_path, {"site.d/x.conf": "locatoin\n"})
    with Process([entrypoint, "check-image"], env=nginx.environ) as checked:
        assert checked.wait(LIMIT) == 1
