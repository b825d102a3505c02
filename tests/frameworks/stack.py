"""nginx with the shipped templates, our server, the shipped chain, and a site of this package."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.frameworks.browser import Browser
from tests.harness.nginx import Nginx, binaries
from tests.harness.processes import ROOT
from tests.harness.servers import ServerProcess, environment, scratch, started

SITES = {
    "Flask": "tests.frameworks.flask_site:application",
    "Django": "tests.frameworks.django_site.wsgi:application",
    "Bottle": "tests.frameworks.bottle_site:application",
    "Falcon": "tests.frameworks.falcon_site:application",
    "Pyramid": "tests.frameworks.pyramid_site:application",
}
FILE = hashlib.shake_128(b"a download").digest(3_000_000)


class Stack:
    """A running site.

    Attributes:
        framework: its name.
        directory: what the site reads and writes.
    """

    def __init__(
        self, framework: str, directory: Path, server: ServerProcess, nginx: Nginx
    ) -> None:
        self.framework = framework
        self.directory = directory
        self._server = server
        self._nginx = nginx
        self._socket = nginx.run_dir / "worker-0.sock"

    def browser(self, **fields: str) -> Browser:
        """Return a client of nginx."""
        return Browser(self._nginx.port, **fields)

    def behind_tls(self) -> Browser:
        """Return a client of the worker, which is told what an nginx with TLS tells."""
        fields = {
            "Host": "shop.example",
            "X-Forwarded-For": "192.0.2.7",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "shop.example",
            "X-Forwarded-Port": "443",
        }
        return Browser(self._socket, **fields)

    def logged(self, request_id: str, **details: str) -> dict[str, Any]:
        """Return the worker's log line for a request, once it is there."""
        wanted = {"request_id": request_id, **details}

        def written() -> list[dict[str, Any]]:
            lines = (self._server.out + self._server.err).splitlines()
            parsed = [
                json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")
            ]
            return [line for line in parsed if wanted.items() <= line.items()]

        return self._server.wait_until(written, f"a line with {wanted}")[0]


@contextlib.contextmanager
def running(framework: str) -> Iterator[Stack]:
    """Run a framework's site: at the root, and mounted at /mounted as well."""
    application = SITES[framework]
    with scratch() as directory:
        (directory / "download.bin").write_bytes(FILE)
        variables = {"SITE_DIRECTORY": str(directory)}
        if framework == "Django":
            prepare_django(variables)
        shipped = (ROOT / "app" / "chain.toml").read_text()
        named = shipped.replace("app.hello:application", application)
        assert named != shipped
        assert named.rstrip().rpartition("\n[")[2].startswith("links.mounts]")
        (directory / "chain.toml").write_text(f'{named}\n"/mounted" = "{application}"\n')
        nginx = Nginx(binaries()[0], WORKERS="1", NGINX_STATIC_DIR=str(directory))
        path = nginx.run_dir / "worker-0.sock"
        variables["BASCULE_CHAIN"] = str(directory / "chain.toml")
        options = ("--bind", f"unix:{path}", "--threads", "4", "--access-logformat", "json")
        server = started(
            *options, "bascule_middleware.wsgi:application", address=str(path), env=variables
        )
        # nginx ends first, and its idle connections with it: the worker need not wait for them.
        with server as worker, nginx:
            yield Stack(framework, directory, worker, nginx)


def prepare_django(variables: dict[str, str]) -> None:
    """Make the database, an administrator and the static files."""
    admin = {"DJANGO_SUPERUSER_PASSWORD": "opens the admin"}
    for command in (
        ["migrate", "--run-syncdb"],
        ["createsuperuser", "--noinput", "--username", "admin", "--email", "admin@shop.example"],
        ["collectstatic", "--noinput"],
    ):
        subprocess.run(
            [sys.executable, "-m", "tests.frameworks.django_site.manage", *command],
            cwd=ROOT,
            env=environment(variables | admin),
            check=True,
            capture_output=True,
            timeout=60,
        )
