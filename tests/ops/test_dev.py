"""`basculectl dev`: what it serves, and how it is talked to."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.harness import repositories
from tests.harness.client import Response
from tests.harness.ports import free_port, listen
from tests.harness.repositories import CALLABLE
from tests.harness.servers import ServerProcess
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.integration

COMMAND = [sys.executable, "-P", "-m", "bascule_ops"]
CHAIN = 'application = "shop:application"\n\n[[links]]\nuse = "exceptions"\n'
PYTHONPATH = os.pathsep.join(path for path in sys.path if path)


class Developed(ServerProcess):
    """The command, in a project of its own."""

    def __init__(self, root: Path, *arguments: str, **variables: str) -> None:
        env = {"PYTHONPATH": PYTHONPATH, "BASCULECTL_DOOR": "basculectl "} | variables
        super().__init__([*COMMAND, "dev", *arguments], ("127.0.0.1", 0), cwd=root, env=env)
        self.root = root

    def wait_until_it_serves(self) -> None:
        """Learn the address from what it prints."""
        pattern = r"Serving .* on http://127\.0\.0\.1:(\d+)"
        found = wait_until(lambda: re.search(pattern, self.err), "it says where it serves")
        self.address = ("127.0.0.1", int(found[1]))

    def get(self, path: str = "/", accept: str = "*/*") -> Response:
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n"
        with self.client() as client:
            return client.request(head.encode())

    def wait_for(self, text: str, path: str = "/") -> Response:
        """Return the first answer that has this in it."""

        def answer() -> Response | None:
            found = self.get(path, "text/html")
            return found if text in found.body.decode() else None

        return wait_until(answer, f"{text!r} is served")


@contextlib.contextmanager
def developed(
    root: Path, files: Mapping[str, str], *arguments: str, **variables: str
) -> Iterator[Developed]:
    repositories.write(root, files)
    with Developed(root, *(arguments or ("--bind", "0")), **variables) as server:
        server.wait_until_it_serves()
        yield server


def test_what_is_saved_is_served_and_so_are_errors_until_they_are_mended(tmp_path: Path) -> None:
    with developed(tmp_path, {"shop.py": CALLABLE}) as server:
        wait_until(lambda: "Application: shop:application (shop.py" in server.out, "it says what")
        assert server.get().body == b"nobody's for 127.0.0.1"
        (tmp_path / "shop.py").write_text(CALLABLE.replace("nobody's", "mine"))
        server.wait_for("mine for 127.0.0.1")
        (tmp_path / "shop.py").write_text(CALLABLE.replace("environ[", "absent["))
        assert server.wait_for("NameError").status == 500
        (tmp_path / "shop.py").write_text("import absent\n")
        assert server.wait_for("No module named").status == 500
        (tmp_path / "shop.py").write_text(CALLABLE)
        assert server.wait_for("nobody's").status == 200
        server.signal(signal.SIGINT)
        assert server.wait(10) == 0


def test_an_application_that_fails_at_the_very_start_is_mended(tmp_path: Path) -> None:
    files = {"shop.py": f"{CALLABLE}\nraise ValueError('not yet')\n", "chain.toml": CHAIN}
    with developed(tmp_path, files) as server:
        assert "not yet" in server.get(accept="text/html").body.decode()
        assert "ValueError: not yet" in server.err
        (tmp_path / "shop.py").write_text(CALLABLE)
        server.wait_for("nobody's")


def test_the_chain_file_is_what_is_served_and_its_static_files_are(tmp_path: Path) -> None:
    failing = CALLABLE.replace("environ[", "absent[")
    chain = f'static = "assets"\nmedia = "media"\n{CHAIN}'
    files = {"shop.py": failing, "chain.toml": chain, "assets/a.css": "one", "media/b.txt": "sent"}
    with developed(tmp_path, files) as server:
        wait_until(lambda: "Application: shop:application (chain.toml)" in server.out, "it says")
        # The link has caught it.
        assert "<mark>" in server.get(accept="text/html").body.decode()
        assert server.get("/static/a.css").body == b"one"
        (tmp_path / "assets" / "a.css").write_text("two")
        assert server.get("/static/a.css").body == b"two"
        assert server.get("/media/b.txt").body == b"sent"


def test_variables_and_the_file_env_say_what_is_served_and_where(tmp_path: Path) -> None:
    port = free_port()
    source = CALLABLE.replace("environ['REMOTE_ADDR']", "__import__('os').environ['KIND']")
    files = {"shop.py": CALLABLE, "other.py": source, ".env": f"KIND=nice\nPORT={port}\n"}
    repositories.write(tmp_path, files)
    variables = {"BASCULE_APP": "other", "BASCULE_MAX_REQUESTS": "1"}
    with Developed(tmp_path, **variables) as server:
        server.wait_until_it_serves()
        assert server.address[1] == port
        for _ in range(3):
            assert server.get().body == b"nobody's for nice"


def test_another_application_may_be_named(tmp_path: Path) -> None:
    other = CALLABLE.replace("nobody's", "another").replace("def application", "def other")
    files = {"shop.py": CALLABLE + other, "chain.toml": CHAIN}
    with developed(tmp_path, files, "--bind", "0", "--app", "shop:other") as server:
        assert server.get().body == b"another for 127.0.0.1"


def test_flask_has_its_own_templates_and_files_as_they_are_saved(tmp_path: Path) -> None:
    source = repositories.FACTORY.replace("import Flask, request", "import Flask, render_template")
    source = re.sub(r"return f.*", "return render_template('a.html')", source)
    files = {
        "shop/__init__.py": source,
        "shop/templates/a.html": "one",
        "shop/static/a.css": "body {}",
    }
    with developed(tmp_path, files) as server:
        assert server.get().body == b"one"
        assert server.get("/static/a.css").body == b"body {}"
        (tmp_path / "shop" / "templates" / "a.html").write_text("two")
        server.wait_for("two")
        (tmp_path / "shop" / "templates" / "a.html").write_text("{{ absent.it }}")
        page = server.wait_for("UndefinedError").body.decode()
        assert "shop/__init__.py:" in page
        assert "<mark>" in page


BOTTLE = """
import bottle
app = bottle.Bottle()
@app.get("/")
def fails():
    raise ValueError("bad")
"""
FALCON = """
import falcon
class Fails:
    def on_get(self, request, response):
        raise ValueError("bad")
app = falcon.App()
app.add_route("/", Fails())
"""
PYRAMID = """
from pyramid.config import Configurator
def fails(request):
    raise ValueError("bad")
def make_app():
    with Configurator() as config:
        config.add_route("fails", "/")
        config.add_view(fails, route_name="fails")
        return config.make_wsgi_app()
"""


@pytest.mark.parametrize("source", [BOTTLE, FALCON, PYRAMID], ids=["bottle", "falcon", "pyramid"])
def test_what_a_framework_catches_is_shown_as_well(source: str, tmp_path: Path) -> None:
    with developed(tmp_path, {"shop.py": source}) as server:
        page = server.get(accept="text/html").body.decode()
        assert "      raise ValueError(&quot;bad&quot;)</mark>" in page


def test_djangos_finders_serve_its_files_and_its_own_page_stays(tmp_path: Path) -> None:
    repositories.django(tmp_path)
    with developed(tmp_path, {}) as server:
        assert server.get("/static/admin/css/base.css").status == 200
        assert server.get("/static/absent.css").status == 404
        urls = "def fails(request):\n    raise ValueError\nfrom django.urls import path\nurlpatterns = [path('', fails)]\n"
        (tmp_path / "mysite" / "urls.py").write_text(urls)
        assert (
            "You’re seeing this error because you have"
            in server.wait_for("ValueError").body.decode()
        )
        with (tmp_path / "mysite" / "settings.py").open("a") as file:
            file.write("DEBUG = False\nALLOWED_HOSTS = ['localhost']\n")
        page = server.wait_for("<mark>    2      raise ValueError</mark>").body.decode()
        assert "mysite/urls.py:2" in page
        assert server.get("/static/admin/css/base.css").status == 404


def test_a_port_in_use_is_said_with_the_remedy(tmp_path: Path) -> None:
    repositories.write(tmp_path, {"shop.py": CALLABLE})
    with listen() as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with Developed(tmp_path, "--bind", address) as server:
            assert server.wait(20) == 1
            said = f"cannot listen on {address}: Address already in use; --bind PORT takes another"
            assert server.err == f"basculectl dev: {said} port\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--bind", "nowhere"), "--bind must be"),
        (("--threads", "no"), "--threads must be a whole number"),
        (("shop:app",), "unknown argument shop:app"),
    ],
)
def test_a_wrong_call_is_said(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    repositories.write(tmp_path, {"shop.py": CALLABLE})
    with Developed(tmp_path, *arguments) as server:
        assert server.wait(20) == 2
        assert said in server.err


def test_where_nothing_is_to_be_served_it_says_how_to_name_it(tmp_path: Path) -> None:
    with Developed(tmp_path) as server:
        assert server.wait(20) == 1
        assert "basculectl dev: no WSGI application found" in server.err
