"""TLS: what is spoken, what is refused, and what a worker and a browser are told of it."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.fetch import Reply, fetch
from tests.harness.nginx import Nginx, response, tell
from tests.harness.ports import free_port
from tests.harness.waiting import LIMIT
from tests.nginx.certificates import Pair, make_pair
from tests.nginx.test_start import start

pytestmark = pytest.mark.integration

# Of TLS 1.2, in Mozilla's intermediate profile (guidelines 6.0), for a certificate with an EC key.
INTERMEDIATE = {
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
}
TWO_YEARS = "63072000"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A good certificate with its key."""
    return make_pair(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def secured(binary: str, pair: Pair) -> Iterator[Nginx]:
    """A running nginx with TLS, HSTS and the redirect, before one worker."""
    port = str(free_port())
    settings = {"NGINX_TLS_PORT": port, "NGINX_TLS_REDIRECT": port, "NGINX_HSTS": TWO_YEARS}
    with Nginx(binary, **settings, **pair.settings) as running:
        running.upstream("worker-0.sock")
        yield running


def context(pair: Pair) -> ssl.SSLContext:
    """A client's settings; it believes in the pair's certificate alone."""
    return ssl.create_default_context(cafile=str(pair.certificate))


def tls_port(nginx: Nginx) -> int:
    return int(nginx.environ["NGINX_TLS_PORT"])


def https(nginx: Nginx, pair: Pair, target: str, **fields: str) -> Reply:
    """Send a GET over TLS; return the response."""
    address = ("localhost", tls_port(nginx))
    return fetch(address, target, fields=fields, limit=LIMIT, tls=context(pair))


def handshake(nginx: Nginx, settings: ssl.SSLContext) -> str | None:
    """Shake hands, and close; return the version that was agreed upon."""
    with (
        socket.create_connection(("127.0.0.1", tls_port(nginx)), LIMIT) as sock,
        settings.wrap_socket(sock, server_hostname="localhost") as secure,
    ):
        return secure.version()


def test_a_worker_is_told_that_the_client_came_over_tls(secured: Nginx, pair: Pair) -> None:
    answer = https(secured, pair, "/alice?a=1")
    assert answer.status == 200
    seen: dict[str, Any] = json.loads(answer.body)
    fields = dict(seen["fields"])
    assert seen["line"] == "GET /alice?a=1 HTTP/1.1"
    assert fields["X-Forwarded-Proto"] == "https"
    assert fields["X-Forwarded-Port"] == str(tls_port(secured))
    assert fields["X-Forwarded-Host"] == f"localhost:{tls_port(secured)}"


def test_without_a_port_in_host_the_forwarded_port_is_that_of_https(
    secured: Nginx, pair: Pair
) -> None:
    body = https(secured, pair, "/", Host="example.org").body
    assert dict(json.loads(body)["fields"])["X-Forwarded-Port"] == "443"


def test_http_2_is_spoken_with_who_speaks_it(secured: Nginx, pair: Pair) -> None:
    done = subprocess.run(
        [
            *("curl", "--silent", "--http2", "--cacert", str(pair.certificate)),
            *("--write-out", "\n%{http_version}", f"https://localhost:{tls_port(secured)}/two"),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=LIMIT,
    )
    body, _, version = done.stdout.rpartition("\n")
    assert version == "2"
    fields = dict(json.loads(body)["fields"])
    assert fields["Host"] == f"localhost:{tls_port(secured)}"
    assert fields["X-Forwarded-Proto"] == "https"
    assert secured.log("/two")["protocol"] == "HTTP/2.0"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_what_is_older_than_tls_1_2_is_refused(
    secured: Nginx, pair: Pair, version: ssl.TLSVersion
) -> None:
    old = context(pair)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = version
        old.maximum_version = version
    with pytest.raises(ssl.SSLError, match="TLSV1_ALERT_PROTOCOL_VERSION"):
        handshake(secured, old)


def test_tls_1_3_is_spoken(secured: Nginx, pair: Pair) -> None:
    assert handshake(secured, context(pair)) == "TLSv1.3"


def test_tls_1_2_is_spoken_with_the_ciphers_of_the_intermediate_profile_only(
    secured: Nginx, pair: Pair
) -> None:
    settings = context(pair)
    settings.maximum_version = ssl.TLSVersion.TLSv1_2
    settings.set_ciphers("ALL:@SECLEVEL=0")
    offered = {each["name"] for each in settings.get_ciphers() if "ECDSA" in each["name"]}
    accepted = set()
    for name in sorted(offered):
        settings.set_ciphers(f"{name}:@SECLEVEL=0")
        try:
            handshake(secured, settings)
        except (ssl.SSLError, ConnectionResetError):
            continue
        accepted.add(name)
    assert offered > INTERMEDIATE
    assert accepted == INTERMEDIATE


def test_http_is_sent_to_https_whatever_is_asked_for(secured: Nginx) -> None:
    for target in ("/alice?a=%2F", "/static/bascule.svg"):
        answer = secured.request(target, method="GET", fields={"Host": "example.org:8080"})
        assert answer.status == 308
        assert answer.field("Location") == f"https://example.org:{tls_port(secured)}{target}"
    answer = secured.request("/form", method="POST", body=b"a=1")
    assert answer.status == 308


def test_the_containers_health_check_is_not_redirected(secured: Nginx) -> None:
    answer = secured.request("/", fields={"User-Agent": "bascule-health"})
    assert answer.status == 200


def test_the_redirect_to_443_names_no_port(binary: str, pair: Pair) -> None:
    settings = {"NGINX_TLS_PORT": str(free_port()), "NGINX_TLS_REDIRECT": "443"}
    with Nginx(binary, **settings, **pair.settings) as nginx:
        answer = nginx.request("/a", fields={"Host": "example.org"})
        assert answer.field("Location") == "https://example.org/a"


def test_hsts_is_sent_over_tls_only_and_the_applications_own_goes_first(
    secured: Nginx, pair: Pair
) -> None:
    name = "Strict-Transport-Security"
    for target in ("/", "/static/bascule.svg", "/-/error.html"):
        answer = https(secured, pair, target)
        assert answer.fields.get_all(name) == [f"max-age={TWO_YEARS}"], target
    assert secured.request("/", fields={"User-Agent": "bascule-health"}).field(name) is None
    (upstream,) = secured.upstreams
    upstream.answer = lambda _: response(200, b"", f"{name}: max-age=1; preload")
    try:
        answer = https(secured, pair, "/own")
    finally:
        upstream.answer = tell
    assert answer.fields.get_all(name) == ["max-age=1; preload"]


def test_without_the_settings_there_is_no_redirect_and_no_hsts(binary: str, pair: Pair) -> None:
    with Nginx(binary, NGINX_TLS_PORT=str(free_port()), **pair.settings) as nginx:
        nginx.upstream("worker-0.sock")
        assert nginx.request("/").status == 200
        answer = https(nginx, pair, "/")
        assert answer.field("Strict-Transport-Security") is None


def test_without_a_certificate_nothing_listens_for_tls(binary: str) -> None:
    port = free_port()
    with Nginx(binary, NGINX_TLS_PORT=str(port)) as nginx:
        assert nginx.request("/static/bascule.svg").status == 200
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), LIMIT)


def test_the_configuration_passes_nginx_without_a_warning(binary: str, pair: Pair) -> None:
    nginx = Nginx(binary, **pair.settings)
    directory = nginx.environ["NGINX_RUN_DIR"]
    done = start(nginx, binary, "-p", directory, "-c", "nginx.conf", "-e", "stderr", "-t")
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr


def refusal(binary: str, **settings: str) -> str:
    """The one line with which a start ends."""
    done = start(Nginx(binary), **settings)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    return line


def test_a_pair_that_is_no_pair_ends_the_start_with_one_line(
    binary: str, pair: Pair, tmp_path: Path
) -> None:
    other = make_pair(tmp_path / "other")
    locked = tmp_path / "locked.pem"
    subprocess.run(
        [
            *("openssl", "pkey", "-in", str(pair.key), "-out", str(locked)),
            *("-aes256", "-passout", "pass:x"),
        ],
        check=True,
    )
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("nothing\n")
    missing = tmp_path / "missing.pem"
    certificate, key = "NGINX_TLS_CERTIFICATE", "NGINX_TLS_CERTIFICATE_KEY"
    cases = [
        ({key: str(other.key)}, key, f"it is not the key of the certificate in {pair.certificate}"),
        ({key: str(locked)}, key, "set it to a key without a passphrase"),
        ({key: str(garbage)}, key, "set it to a PEM file with the private key"),
        ({key: str(missing)}, key, "there is no such file"),
        ({key: str(tmp_path)}, key, "there is no such file"),
        ({key: "/dev/null"}, key, f"set it to the file with the key of {certificate}"),
        ({key: "relative.pem"}, key, "set it to the path of a PEM file, absolute"),
        ({certificate: str(garbage)}, certificate, "set it to a PEM file with the certificate"),
        ({certificate: str(missing)}, certificate, "there is no such file"),
        ({certificate: "/dev/null"}, certificate, "set it to the file with the certificate of"),
        ({"NGINX_TLS_PORT": "65536"}, "NGINX_TLS_PORT", "set it to a port, 1 to 65535"),
        ({"NGINX_TLS_REDIRECT": "yes"}, "NGINX_TLS_REDIRECT", "set it to the port of https://"),
        ({"NGINX_HSTS": "forever"}, "NGINX_HSTS", "set it to seconds"),
    ]
    for changed, setting, remedy in cases:
        wrong = {**pair.settings, **changed}
        line = refusal(binary, **wrong)
        assert line.startswith(f'nginx: {setting} is "{wrong[setting]}": {remedy}'), line


@pytest.mark.parametrize(("setting", "value"), [("NGINX_TLS_REDIRECT", "443"), ("NGINX_HSTS", "1")])
def test_what_needs_tls_is_refused_without_it(binary: str, setting: str, value: str) -> None:
    line = refusal(binary, **{setting: value})
    assert line.startswith(f'nginx: {setting} is "{value}": set NGINX_TLS_CERTIFICATE as well')
