"""The log of a running stack: what its lines look like, the stories in it, and its rotation."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from bascule_ops.supervision.log_rotation import RotationError, rotate

from tests.harness.client import Client
from tests.harness.fetch import ask, connect, fetch
from tests.harness.ports import listen
from tests.harness.processes import ROOT, Process
from tests.harness.tree import LIMIT, Tree
from tests.harness.waiting import wait_until
from tests.ops.log_schema import events_in_the_code, examples, faults, section_of, sections

CHAIN = """
application = "log_shop:application"

[[links]]
use = "request_id"
trusted = ["unix"]

[[links]]
use = "exceptions"

[[links]]
use = "proxy_headers"
trusted = ["unix"]
fields = "x-forwarded"

[[links]]
use = "ratelimit"
limits = ["1/hour on /limited"]
"""


class Shop:
    """A stack in local mode whose requests do something worth a line."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    def get(self, path: str) -> tuple[int, str]:
        """Ask for a path; return the status and the request's id."""
        reply = fetch(self.tree.port, path, limit=LIMIT)
        return reply.status, reply.fields["X-Request-ID"]

    def logs(self, *arguments: str) -> list[dict[str, Any]]:
        """What ops/logs gives a script."""
        done = self.tree.run("ops/logs", *arguments)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def story(self, request_id: str, *events: str) -> str:
        """What ops/logs tells of a request, when all its events are there."""

        def told() -> bool:
            found = self.tree.run("ops/logs", "--request-id", request_id)
            return {json.loads(line)["event"] for line in found.stdout.splitlines()} >= set(events)

        wait_until(told, f"{events} of {request_id}", limit=LIMIT)
        done = self.tree.run("ops/logs", "--request-id", request_id, "--text")
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def shop(venv: Path) -> Iterator[Shop]:
    """Runs with two workers of two threads; calls may take a second."""
    tree = Tree(venv)
    shutil.copy(ROOT / "tests" / "ops" / "log_shop.py", tree.root)
    (tree.root / "log_chain.toml").write_text(CHAIN)
    settings = {"BASCULE_CHAIN": "log_chain.toml", "BASCULE_TIMEOUT": "1", "BASCULE_THREADS": "8"}
    done = tree.up(**settings, NGINX_CLIENT_MAX_BODY_SIZE="1k")
    assert done.returncode == 0, done.stdout + done.stderr
    yield Shop(tree)
    tree.remove()


def test_the_examples_on_the_page_are_as_it_says() -> None:
    schema = sections()
    assert {str(example): faults(example, schema) for example in examples()} == {
        str(example): [] for example in examples()
    }
    shown = {(section_of(example, schema), example["event"]) for example in examples()}
    assert len(shown) == len(examples())


def test_no_event_in_the_code_is_missing_on_the_page() -> None:
    known = {event for events in sections().values() for event in events}
    found = events_in_the_code()
    assert len(found) > 30
    assert found - known == set(), "docs/logs.md is to say what these are like"


@pytest.mark.integration
def test_the_story_of_a_request_that_hung(shop: Shop) -> None:
    status, request_id = shop.get("/hang")
    assert status == 504
    told = shop.story(request_id, "slow_call", "hung_request", "request")
    when = [
        told.index(part) for part in ("nginx     has the request", "slow_call:", "hung_request:")
    ]
    assert when == sorted(when)
    assert "in connect\n" in told
    assert "time.sleep(1.5)" in told
    assert "bascule/wsgi/gateway.py" not in told
    assert told.count("answers 504") == 2
    assert "The client got 504 after 1" in told


@pytest.mark.integration
def test_the_story_of_a_request_that_raised(shop: Shop) -> None:
    status, request_id = shop.get("/raise")
    assert status == 500
    told = shop.story(request_id, "exception", "request")
    assert "exception: GET '/raise': the application raised\n" in told
    assert 'return {"a": 1}[item]' in told
    assert "KeyError: 'b'" in told
    assert "bascule_middleware/links/exceptions.py" not in told
    assert told.count("answers 500") == 2


@pytest.mark.integration
def test_the_story_of_a_request_that_was_refused_by_a_limit(shop: Shop) -> None:
    statuses = [shop.get("/limited") for _ in range(4)]
    assert [status for status, _ in statuses] == [200, 429, 429, 429]
    for _, request_id in statuses[1:]:
        told = shop.story(request_id, "rate_limited", "request")
        assert "refused by '1/hour per address on /limited'" in told
        assert told.count("answers 429") == 2


@pytest.mark.integration
def test_the_story_of_a_request_that_nginx_refused(shop: Shop) -> None:
    head = b"PUT /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n"
    with Client(("127.0.0.1", shop.tree.port), deadline=LIMIT) as client:
        request_id = client.request(head).one("X-Request-ID")
    assert request_id
    told = shop.story(request_id, "nginx_error", "request")
    assert "PUT /upload to localhost from 127.0.0.1" in told
    assert "nginx_error: client intended to send too large body: 9999 bytes" in told
    assert "answers 413" in told


@pytest.mark.integration
def test_every_line_of_every_source_is_as_the_page_says(shop: Shop) -> None:
    for path in ("/", "/log", "/slow", "/raise"):
        shop.get(path)
    hung = shop.get("/hang")[1]
    with Client(("127.0.0.1", shop.tree.port), deadline=LIMIT) as client:
        client.request(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n")
    shop.story(hung, "hung_request_ended")
    os.kill(int(shop.tree.worker_pids()["worker-0"]), signal.SIGKILL)
    wait_until(
        lambda: shop.tree.run("ops/health").returncode == 0, "worker-0 to come back", limit=LIMIT
    )
    assert shop.tree.run("ops/restart").returncode == 0
    lines = shop.logs("--lines", "all")
    schema = sections()
    wrong = {json.dumps(line): found for line in lines if (found := faults(line, schema))}
    assert wrong == {}
    seen = {(section_of(line, schema), line["event"]) for line in lines}
    assert seen >= {
        ("nginx", "request"),
        ("nginx", "nginx_error"),
        ("nginx", "output"),
        ("The server", "request"),
        ("The server", "listening"),
        ("The server", "draining"),
        ("The server", "stopped"),
        ("The server", "slow_call"),
        ("The server", "hung_request"),
        ("The server", "hung_request_ended"),
        ("The chain", "exception"),
        ("The application", "log"),
        ("The supervisor", "process_state"),
    }


@pytest.mark.integration
def test_rotating_loses_no_line_and_tears_none(shop: Shop) -> None:
    over = threading.Event()
    asked: list[list[str]] = [[] for _ in range(4)]

    def client(targets: list[str], name: int) -> None:
        with closing(connect(shop.tree.port, limit=LIMIT)) as connection:
            for number in itertools.count():
                if over.is_set():
                    break
                targets.append(f"/rotated/{name}/{number}")
                ask(connection, targets[-1])

    command = ["ops/logs", "--follow", "--lines", "all", "--path", "/rotated/"]
    with Process(command, cwd=shop.tree.root, env=shop.tree.environ) as following:
        shop.get("/rotated/first")
        followed = [following.read_line(LIMIT)]
        clients = [
            threading.Thread(target=client, args=each) for each in zip(asked, range(4), strict=True)
        ]
        for each in clients:
            each.start()
        log = shop.tree.run_dir / "bascule.log"
        try:
            for _ in range(3):
                before = len(asked[0])
                done = shop.tree.run("ops/logs", "--rotate", "--keep", "2")
                assert (done.returncode, done.stderr) == (0, "")
                assert done.stdout == f"The log so far is in {log}.1; it is complete.\n"
                wait_until(
                    lambda before=before: len(asked[0]) > before + 20, "more requests", limit=LIMIT
                )
        finally:
            over.set()
            for each in clients:
                each.join()
        wanted = Counter({target: 2 for targets in asked for target in targets})
        wanted["/rotated/first"] = 2
        while len(followed) < wanted.total():
            followed.append(following.read_line(LIMIT))
    assert Counter(json.loads(line)["target"] for line in followed) == wanted
    assert sorted(path.name for path in log.parent.glob("bascule.log*")) == [
        "bascule.log",
        "bascule.log.1",
        "bascule.log.2",
    ]
    kept = shop.logs("--lines", "all")
    assert [line for line in kept if line["event"] == "output"] == []
    last = asked[0][-1]
    wait_until(
        lambda: len(shop.logs("--path", last)) == 2, "both lines of the last request", limit=LIMIT
    )


@pytest.mark.integration
def test_the_log_is_rotated_after_a_deployment_as_well(tree: Tree) -> None:
    for command in (["ops/up", "--local"], ["ops/deploy"], ["ops/logs", "--rotate"]):
        done = tree.run(*command)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.integration
def test_a_rotation_that_supervisord_does_not_follow_says_so_and_loses_nothing(
    tmp_path: Path,
) -> None:
    log = tmp_path / "bascule.log"
    ignore = "trap '' USR2; echo before; read -r line; echo $line"
    with Process(["bash", "-c", ignore], log=log, stdin=subprocess.PIPE) as deaf:
        deaf.wait_until(log.read_text, "its first line", limit=LIMIT)
        (tmp_path / "bascule.log.1").write_text("older")
        with pytest.raises(RotationError, match="goes on as it was"):
            rotate(log, 5, deaf.pid, limit=0.1)
        deaf.tell("after\n")
        assert deaf.wait() == 0
    assert (tmp_path / "bascule.log").read_text() == "before\nafter\n"
    assert (tmp_path / "bascule.log.1").read_text() == "older"
    assert len(list(tmp_path.iterdir())) == 2


# --- shipping ----------------------------------------------------------------------------------


def page_block(language: str, beginning: str) -> str:
    """The code block of docs/logs.md that begins so."""
    found: str = (ROOT / "docs" / "logs.md").read_text().split(f"```{language}\n{beginning}")[1]
    return beginning + found.partition("\n```")[0] + "\n"


@pytest.mark.integration
def test_the_pages_rsyslog_ships_every_line_over_a_rotation(tmp_path: Path) -> None:
    if not shutil.which("rsyslogd", path="/usr/sbin:/usr/bin"):
        assert os.environ.get("CI") != "true", "rsyslog is not installed"
        pytest.skip("rsyslog is not installed")
    log = tmp_path / "bascule.log"
    lines = [
        json.dumps({"time": "2026-11-21T10:00:00.000Z", "n": n, "x": "é" * 3000}) for n in range(6)
    ]
    with listen() as collector:
        configuration = page_block("", "global(workDirectory")
        for theirs, ours in {
            "/var/spool/rsyslog": str(tmp_path),
            "/srv/bascule/.run/bascule.log": str(log),
            "logs.example": "127.0.0.1",
            '"6514"': f'"{collector.getsockname()[1]}"',
        }.items():
            assert theirs in configuration
            configuration = configuration.replace(theirs, ours)
        (tmp_path / "rsyslog.conf").write_text(configuration)
        log.write_text(f"{lines[0]}\n{lines[1]}\n")
        command = ["rsyslogd", "-n", "-f", tmp_path / "rsyslog.conf", "-i", tmp_path / "pid"]
        path = f"/usr/sbin:{os.environ['PATH']}"
        with Process(command, env=os.environ | {"PATH": path}):
            collector.settimeout(LIMIT)
            connection, _ = collector.accept()
            with connection, connection.makefile(encoding="utf-8") as received:
                connection.settimeout(LIMIT)
                got = [received.readline() for _ in range(2)]
                with log.open("a") as file:
                    file.write(f"{lines[2]}\n")
                    log.rename(tmp_path / "bascule.log.1")
                    file.write(f"{lines[3]}\n")
                log.write_text(f"{lines[4]}\n{lines[5]}\n")
                got += [received.readline() for _ in range(4)]
    assert [json.loads(line) for line in got] == [json.loads(line) for line in lines]
