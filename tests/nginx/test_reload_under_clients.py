"""`reload.sh`: clients that have a connection while nginx reads its configuration again."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness import fetch
from tests.harness.nginx import ENTRYPOINT, Nginx
from tests.harness.processes import ROOT, Process
from tests.harness.waiting import LIMIT, wait_until

pytestmark = pytest.mark.integration


def in_run_dir(nginx: Nginx, name: str) -> Path:
    return Path(nginx.environ["NGINX_RUN_DIR"], name)


def leaves_connections_open(nginx: Nginx) -> bool:
    """Whether this nginx is so new that there is nothing to prepare."""
    return in_run_dir(nginx, "keepalive.conf").stat().st_size > 0


def is_leaving(pid: str) -> bool:
    """Whether a process of nginx says of itself that it shuts down, or has ended."""
    try:
        return b"is shutting down" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return True


def connect(nginx: Nginx, target: str) -> fetch.Connection:
    """Return a connection on which one request was answered."""
    client = fetch.connect(nginx.port, limit=LIMIT)
    answer = fetch.ask(client, target)
    assert (answer.status, answer.field("Connection")) == (200, "keep-alive")
    return client


@contextmanager
def reloading(nginx: Nginx) -> Iterator[Process]:
    """Reload for another number of workers; the block begins when nobody may be kept any more."""
    (nginx.run_dir / "workers").write_text("3\n")
    before = nginx.children()
    with Process([ENTRYPOINT, "reload"], env=nginx.environ) as process:
        closing = in_run_dir(nginx, "closing")
        wait_until(lambda: closing.exists() or all(map(is_leaving, before)), "the reload to begin")
        yield process


def assert_done(process: Process) -> None:
    """Wait for the end of a reload; it says that it is done, and nothing else."""
    process.wait(LIMIT)
    assert (process.out, process.err) == ("reloaded\n", "")


@pytest.mark.parametrize("target", ["/", "/static/bascule.svg"])
def test_a_client_that_idles_is_answered_once_more(binary: str, target: str) -> None:
    with Nginx(binary) as nginx:
        nginx.upstream("worker-0.sock")
        before = nginx.children()
        client = connect(nginx, target)
        with reloading(nginx) as process:
            if not leaves_connections_open(nginx):
                assert before <= nginx.children()
            method = "POST" if target == "/" else "GET"
            answer = fetch.ask(client, target, method, b"order")
            assert (answer.status, answer.field("Connection")) == (200, "close")
            assert answer.body
            client.close()
            assert_done(process)
        wait_until(lambda: not nginx.children() & before, "nginx's old processes to end")
        connect(nginx, target).close()


def test_one_that_stays_away_is_not_waited_for_longer_than_nginx_would(binary: str) -> None:
    with Nginx(binary, NGINX_KEEPALIVE_TIMEOUT="1s") as nginx:
        nginx.upstream("worker-0.sock")
        client = connect(nginx, "/")
        with reloading(nginx) as process:
            assert_done(process)
        client.close()


def test_a_reload_that_is_broken_off_has_changed_nothing(binary: str) -> None:
    with Nginx(binary) as nginx:
        if leaves_connections_open(nginx):
            return  # it is over before one could
        nginx.upstream("worker-0.sock")
        client = connect(nginx, "/")
        before = nginx.children()
        rendered = in_run_dir(nginx, "upstream_servers.conf").read_text()
        with reloading(nginx) as process:
            process.signal_group(signal.SIGTERM)
            assert process.wait(LIMIT) == 143
        assert before <= nginx.children()
        assert in_run_dir(nginx, "upstream_servers.conf").read_text() == rendered
        assert fetch.ask(client, "/").field("Connection") == "keep-alive"
        client.close()


def test_what_nginx_does_not_take_is_reported(binary: str) -> None:
    with Nginx(binary) as nginx:
        before = nginx.children()
        in_run_dir(nginx, "nginx.conf").write_text("nonsense")
        done = subprocess.run(
            [ROOT / "nginx" / "reload.sh"],
            env=nginx.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=2 * LIMIT,
        )
        assert done.returncode == 1
        assert done.stderr == "nginx: it has not taken the new configuration; its log says why\n"
        assert before <= nginx.children()
        assert not in_run_dir(nginx, "closing").exists()


def test_a_start_forgets_a_reload_that_was_killed(binary: str) -> None:
    nginx = Nginx(binary)
    in_run_dir(nginx, "").mkdir()
    in_run_dir(nginx, "closing").touch()
    with nginx:
        nginx.upstream("worker-0.sock")
        connect(nginx, "/").close()


@pytest.mark.parametrize(
    ("target", "method", "body", "fields"),
    [
        ("/a%2Fb//c/../d?x=%41", "GET", None, {}),
        ("/", "HEAD", None, {}),
        ("/", "PUT", b"x" * 70_000, {}),
        ("/", "POST", b"x" * 200_000, {}),
        ("/hangs-up", "GET", None, {"Accept": "text/html"}),
        ("/hangs-up", "GET", None, {"Accept": "application/json"}),
        ("/-/error.html", "GET", None, {}),
        ("/static/bascule.svg", "GET", None, {}),
        ("/static/none", "GET", None, {"Accept": "application/json"}),
        ("/static/.git", "GET", None, {}),
        ("/static/bascule.svg", "POST", b"x", {}),
    ],
)
def test_answers_are_the_same_while_a_reload_is_prepared(
    nginx: Nginx, target: str, method: str, body: bytes | None, fields: dict[str, str]
) -> None:
    for upstream in nginx.upstreams:
        usual = upstream.answer
        upstream.answer = lambda seen, usual=usual: (  # type: ignore[misc]
            None if "/hangs-up" in seen["line"] else usual(seen)
        )

    def answer() -> tuple[int, list[tuple[str, str]], bytes]:
        reply = nginx.request(target, method, body, fields)
        changes = {"Date", "X-Request-ID", "Connection", "Content-Length"}
        told = sorted(each for each in reply.fields.items() if each[0] not in changes)
        return reply.status, told, re.sub(rb"[0-9a-f]{32}|worker-\d", b"", reply.body)

    usual_answer = answer()
    in_run_dir(nginx, "closing").touch()
    try:
        assert answer() == usual_answer
    finally:
        in_run_dir(nginx, "closing").unlink()


def test_a_body_is_asked_for_while_a_reload_is_prepared(nginx: Nginx) -> None:
    in_run_dir(nginx, "closing").touch()
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n"
    try:
        received = nginx.raw(head + b"Connection: close\r\n\r\norder")
    finally:
        in_run_dir(nginx, "closing").unlink()
    assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Whatever\r\n")
