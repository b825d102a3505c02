"""docs/cgi.md under real CGI hosts: its files and commands, and what only a process can show."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.fetch import Reply, fetch
from tests.harness.processes import ROOT
from tests.harness.servers import application_name, environment
from tests.harness.waiting import wait_until
from tests.runbooks.page import Step, blocks

from .cgi_hosts import CgiHost, apache, nginx_with_fcgiwrap, program

PAGE = ROOT / "docs" / "cgi.md"
VARIABLES = {
    "GATEWAY_INTERFACE": "CGI/1.1",
    "REQUEST_METHOD": "GET",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
}
TRY_IT, APACHE, NGINX = blocks(PAGE)


@pytest.fixture(scope="module", params=[nginx_with_fcgiwrap, apache], ids=["nginx", "apache"])
def host(request: pytest.FixtureRequest) -> Iterator[CgiHost]:
    with request.param() as running:
        yield running


@pytest.fixture(scope="module")
def nginx() -> Iterator[CgiHost]:
    with nginx_with_fcgiwrap() as running:
        yield running


def put(host: CgiHost, application: str) -> str:
    """Put a test application beside the page's program; return its path."""
    path = f"/cgi-bin/{application.replace(':', '-')}.cgi"
    name = application_name(application)
    command = f'cd {ROOT} && exec {sys.executable} -m bascule.wsgi.cgi {name} "$@"'
    program(host.directory / f"www{path}", f"#!/bin/sh\n{command}\n")
    return path


def cgi_process(*arguments: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run a program as a host does."""
    return subprocess.run(
        [sys.executable, "-m", "bascule.wsgi.cgi", *arguments],
        cwd=ROOT,
        env=environment(VARIABLES | variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=20,
    )


def ask(
    host: CgiHost, target: str, method: str = "GET", body: bytes | None = None, **fields: str
) -> Reply:
    return fetch(host.port, target, method, body, fields, limit=20)


def shell(steps: list[Step], **variables: str) -> str:
    """Run a block of the page; return what it printed."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", "\n".join(step.command for step in steps)],
        cwd=ROOT,
        env=environment({"PATH": path, **variables}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def on(steps: list[Step], host: CgiHost) -> list[Step]:
    """Return the steps with the port of a test."""
    here = f"localhost:{host.port}/"
    return [Step(each.command.replace("localhost/", here), each.expected) for each in steps]


# --- the page ------------------------------------------------------------------------------------


def test_the_page_can_be_tried_without_a_host() -> None:
    printed = shell(TRY_IT).replace("\r", "")
    assert printed.strip() == TRY_IT[-1].expected.strip()


def test_the_page_works_under_apache() -> None:
    with apache() as host:
        assert shell(on(APACHE, host)).strip() == APACHE[-1].expected.strip()


def test_the_page_works_under_nginx_with_fcgiwrap(nginx: CgiHost) -> None:
    assert shell(on(NGINX, nginx)).strip() == NGINX[-1].expected.strip()


def test_a_process_without_a_host_says_what_it_is_for() -> None:
    for arguments in (["app.hello:application"], ["--help"]):
        done = subprocess.run(
            [sys.executable, "-m", "bascule.wsgi.cgi", *arguments],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        assert done.returncode == 2
        assert done.stdout == ""
        assert "this is a CGI program" in done.stderr
        assert "python -m bascule app.hello:application" in done.stderr


# --- both hosts ----------------------------------------------------------------------------------


def test_a_path_of_any_letters_arrives(host: CgiHost) -> None:
    response = ask(host, f"{host.prefix}/%E5%B0%8F%E6%98%8E?a=b")
    assert response.status == 200
    assert response.body == "<h1>Hello, 小明!</h1>".encode()


def test_head_has_no_body(host: CgiHost) -> None:
    response = ask(host, f"{host.prefix}/alice", "HEAD")
    assert response.status == 200
    assert response.field("Content-Length") in ("22", None)  # None: Apache drops it
    assert response.body == b""


def test_the_words_of_a_query_are_no_arguments(host: CgiHost) -> None:
    """RFC 3875 §4.4: a query without `=` becomes the program's arguments."""
    response = ask(host, f"{host.prefix}/alice?--help+tests.applications.raises:application")
    assert response.status == 200


def test_apache_itself_refuses_what_it_will_not_rewrite() -> None:
    with apache() as host:
        assert ask(host, "/a%2Fb").status == 404
        assert ask(host, "/a%3Fb").status == 403


# --- what only a process can show ----------------------------------------------------------------


def test_an_upload_arrives_whole(nginx: CgiHost) -> None:
    body = bytes(range(256)) * 2048
    response = ask(nginx, f"{put(nginx, 'echo')}/negative", "POST", body)
    assert response.status == 200
    assert response.body == body


def test_a_large_response_arrives_whole(nginx: CgiHost) -> None:
    path = put(nginx, "big")
    for way in ("list", "generator", "file", "write"):
        response = ask(nginx, f"{path}/{way}")
        assert response.status == 200
        assert len(response.body) == 8 * 1024 * 1024


def test_a_validated_application_runs(nginx: CgiHost) -> None:
    path = put(nginx, "tests.applications.validated:cookies")
    response = ask(nginx, path)
    assert response.status == 200
    assert len(response.fields.get_all("Set-Cookie")) > 1


def test_what_is_printed_stays_out_of_the_response(nginx: CgiHost) -> None:
    path = put(nginx, "prints")
    for way in ("print", "descriptor", "process"):
        before = nginx.errors.count("printed to standard output")
        response = ask(nginx, f"{path}/{way}")
        assert response.status == 200
        assert response.body == b"the response\n"
        wait_until(
            lambda before=before: nginx.errors.count("printed to standard output") > before,
            f"what {way} printed in the error log",
        )


def test_what_is_printed_is_logged_in_its_order() -> None:
    done = cgi_process(application_name("prints"), PATH_INFO="/print")
    assert done.stderr == b"printed to standard output\nwritten afterwards\n"


def test_a_hosts_further_arguments_are_ignored() -> None:
    done = cgi_process("app.hello:application", "--help", application_name("raises"))
    assert done.stdout.startswith(b"Status: 200 OK")


def test_a_failure_is_answered_500_and_its_traceback_is_in_the_error_log(nginx: CgiHost) -> None:
    response = ask(nginx, f"{put(nginx, 'raises')}/call")
    assert response.status == 500
    assert b"OnPurposeError" not in response.body
    wait_until(lambda: "OnPurposeError: before start_response" in nginx.errors, "the traceback")


def test_an_application_that_cannot_be_imported_is_answered_500(nginx: CgiHost) -> None:
    response = ask(nginx, put(nginx, "fails_to_import"))
    assert response.status == 500
    wait_until(lambda: "cannot load tests.applications.fails_to_import" in nginx.errors, "the log")


def test_a_proxy_field_of_a_client_redirects_nothing(nginx: CgiHost) -> None:
    """CVE-2016-5385: not in the environ, and not in the environment of the process either."""
    path = put(nginx, "proxies")
    assert ask(nginx, path, Proxy="http://evil.example").body == b"None None"


def test_a_host_that_hangs_up_early_leaves_no_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "bascule.wsgi.cgi", application_name("big")],
        cwd=ROOT,
        env=environment(VARIABLES | {"PATH_INFO": "/generator"}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.read(10) == b"Status: 20"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(20) == 0
