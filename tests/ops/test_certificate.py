"""TLS in a whole stack: what the application is told, and a renewal that no client notices."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bascule_ops.certificate import pem_pair

from tests.harness.fetch import NO_RESPONSE, Connection, ask, connect
from tests.harness.ports import free_port
from tests.harness.tree import LIMIT, Crowd, Tree, crowd_of
from tests.harness.waiting import wait_until
from tests.nginx.certificates import EC, RSA, make_pair

pytestmark = pytest.mark.integration

# Answers with the scheme; /gate waits until somebody opens the fifo that GATE names.
APPLICATION = """
import os

def application(environ, start_response):
    if environ["PATH_INFO"] == "/gate":
        with open(os.environ["GATE"]) as gate:
            gate.read()
    body = environ["wsgi.url_scheme"].encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


class Secured:
    """A stack with TLS, whose certificate is in ``tls/`` of its tree."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.port = free_port()
        self.pair = make_pair(tree.root / "tls", name="first.example")
        self.gate = tree.root / "gate"
        os.mkfifo(self.gate)
        (tree.root / "app" / "scheme.py").write_text(APPLICATION)
        chain = tree.root / "app" / "chain.toml"
        chain.write_text(
            chain.read_text().replace("app.hello:application", "app.scheme:application")
        )
        tree.environ |= {
            "HTTPS_PORT": f"127.0.0.1:{self.port}",
            # As somebody would write it in .env, seen from the top directory.
            "NGINX_TLS_CERTIFICATE": "./tls/fullchain.pem",
            "NGINX_TLS_CERTIFICATE_KEY": "tls/privkey.pem",
            "GATE": str(self.gate),
        }

    def connect(self) -> Connection:
        """A client that takes whatever certificate it is shown."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return connect(self.port, limit=LIMIT, tls=context)

    def get(self, target: str = "/") -> tuple[int, bytes]:
        """One request over TLS, on a connection of its own."""
        with closing(self.connect()) as connection:
            reply = ask(connection, target)
        return reply.status, reply.body

    def certificate(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run ``ops/certificate``."""
        return self.tree.run("ops/certificate", *map(str, arguments))

    @contextmanager
    def load(self) -> Iterator[list[str]]:
        """Requests one after another from four clients; yields what failed."""

        def client(crowd: Crowd) -> None:
            while not crowd.over.is_set():
                try:
                    status, body = self.get()
                except NO_RESPONSE as error:
                    crowd.failures.append(repr(error))
                    continue
                if (status, body) != (200, b"https"):
                    crowd.failures.append(f"{status} {body!r}")
                next(crowd.answered)

        with crowd_of(4, client) as failures:
            yield failures


@pytest.fixture(scope="module")
def secured(venv: Path) -> Iterator[Secured]:
    """A running stack with TLS."""
    stack = Secured(Tree(venv))
    done = stack.tree.up()
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"https://127.0.0.1:{stack.port}/" in done.stdout
    yield stack
    stack.tree.remove()


def shown(secured: Secured) -> dict[str, object]:
    """What ``ops/certificate --json`` says."""
    said: dict[str, object] = json.loads(secured.certificate("--json").stdout)
    return said


def test_the_application_learns_that_the_client_came_over_tls(secured: Secured) -> None:
    assert secured.get() == (200, b"https")
    assert secured.tree.get("/") == (200, b"http")


def test_it_shows_whose_certificate_it_is_and_until_when(secured: Secured) -> None:
    done = secured.certificate()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "subject      first.example" in done.stdout
    assert "90 days" in done.stdout or "89 days" in done.stdout
    assert f"port {secured.port}" in done.stdout
    assert "serves this one" in done.stdout


def test_certificates_are_renewed_under_load_and_no_request_is_lost(
    secured: Secured, tmp_path: Path
) -> None:
    mode = secured.pair.key.stat().st_mode
    with secured.load() as failures:
        for number in range(3):
            new = make_pair(
                tmp_path / str(number), f"number-{number}.example", kind=(EC, RSA)[number % 2]
            )
            done = secured.certificate("install", new.certificate, new.key)
            assert done.returncode == 0, done.stdout + done.stderr
            assert f"subject      number-{number}.example" in done.stdout
            assert "serves this one" in done.stdout
    assert failures == []
    assert secured.pair.key.stat().st_mode == mode


def test_a_request_that_began_before_a_renewal_is_answered_on_its_connection(
    secured: Secured, tmp_path: Path
) -> None:
    new = make_pair(tmp_path, "slow.example")
    slow = secured.connect()
    slow.request("GET", "/gate")
    with ThreadPoolExecutor(1) as pool:
        installing = pool.submit(secured.certificate, "install", new.certificate, new.key)
        # A new nginx begins with it at once, an older one waits for who is there.
        closing = secured.tree.run_dir / "nginx" / "closing"
        wait_until(
            lambda: closing.exists() or installing.done(), "the renewal to reach nginx", limit=LIMIT
        )
        secured.gate.write_text("")
        assert slow.getresponse().read() == b"https"
        slow.close()
        done = installing.result()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "subject      slow.example" in done.stdout


def test_what_was_written_in_place_is_served_after_a_reload(
    secured: Secured, tmp_path: Path
) -> None:
    new = make_pair(tmp_path, "reloaded.example")
    secured.pair.certificate.write_bytes(new.certificate.read_bytes())
    secured.pair.key.write_bytes(new.key.read_bytes())
    before = secured.certificate()
    assert before.returncode == 1
    assert "problem      nginx still serves another one: ops/certificate reload" in before.stdout
    assert secured.certificate("reload").returncode == 0
    assert shown(secured)["served"] is True


def test_a_pair_that_would_not_do_changes_nothing(secured: Secured, tmp_path: Path) -> None:
    old = shown(secured)
    good = make_pair(tmp_path / "good", "good.example")
    rsa = make_pair(tmp_path / "rsa", "rsa.example", kind=RSA)
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("nothing")
    cases = [
        (good.certificate, rsa.key, "it is not the key of"),
        (good.certificate, secured.pair.key, "it is not the key of"),
        (good.certificate, garbage, "no private key in PEM form"),
        (garbage, good.key, "no certificate in PEM form"),
        (tmp_path / "missing", good.key, "No such file or directory"),
    ]
    for certificate, key, reason in cases:
        done = secured.certificate("install", certificate, key)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("ops/certificate: "), line
        assert reason in line
    assert shown(secured) == old


def test_one_that_is_about_to_expire_is_a_problem(secured: Secured, tmp_path: Path) -> None:
    ending = make_pair(tmp_path, "ending.example", days=3)
    done = secured.certificate("install", ending.certificate, ending.key)
    assert done.returncode == 1
    assert "it is good for 3 days only; renew it" in done.stdout
    assert shown(secured)["subject"] == "ending.example"


def test_without_tls_it_says_which_settings_turn_it_on(running: Tree) -> None:
    done = running.run("ops/certificate")
    assert done.returncode == 2
    assert "set NGINX_TLS_CERTIFICATE and NGINX_TLS_CERTIFICATE_KEY" in done.stderr


def test_a_wrong_call_is_refused(running: Tree) -> None:
    for arguments in (["install", "one"], ["renew"], ["reload", "--json"]):
        done = running.run("ops/certificate", *arguments)
        assert done.returncode == 2, arguments


def test_a_pair_is_judged_by_the_day(tmp_path: Path) -> None:
    pair = make_pair(tmp_path, "judged.example", days=10)
    now = datetime.now(UTC)
    found = pem_pair.check(pair.certificate, pair.key, now + timedelta(days=9))
    assert found.subject == "judged.example"
    assert 9.9 < found.days_left(now) <= 10
    with pytest.raises(ValueError, match="it was good until"):
        pem_pair.check(pair.certificate, pair.key, now + timedelta(days=11))
