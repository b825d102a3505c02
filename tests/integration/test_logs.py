"""The logs: one line a request that nobody can forge, and events and records in the same form."""

from __future__ import annotations

import contextlib
import json
import re
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bascule_ops import readiness

from tests.harness.client import Client
from tests.harness.servers import (
    ServerProcess,
    application_name,
    bascule_command,
    running,
    scratch,
    started,
)
from tests.harness.waiting import wait_until

from .gate import Gate
from .requests import get, head, post

# Combined: address, two names, time, request, status, bytes, referer, user agent.
COMBINED = re.compile(
    r'(?P<addr>\S+) - (?P<user>\S+) \[(?P<time>[^\]"]+)\] "(?P<request>[^"]*)" (?P<status>\d{3}) '
    r'(?P<size>\d+) "(?P<referer>[^"]*)" "(?P<agent>[^"]*)"'
)

JSON = ("--access-logformat", "json")

HOSTILE = [
    '"',
    '" 200 1 "-" "forged',
    "\\",
    '\\" 200',
    "a\tb",
    "caf\xe9",
    "\xe5\xb0\x8f\xe6\x98\x8e",
    "{}%s%(status)s${HOME}",
    "x" * 8000,
    "\x85\x9b31m",
]


def last_line(server: ServerProcess, lines: int) -> str:
    """Wait for the access log to have this many lines; return the last."""
    wait_until(lambda: server.out.count("\n") >= lines, f"{lines} lines")
    assert server.out.count("\n") == lines
    return server.out.split("\n")[-2]


@contextlib.contextmanager
def logging(*flags: str, application: str = "hello", env=None) -> Iterator[ServerProcess]:
    """Run our server; yield it once the harness's probe has its line, which is the first."""
    with running(bascule_command(*flags), application, env=env) as server:
        wait_until(lambda: "\n" in server.out, "the probe's line")
        yield server


@pytest.fixture(scope="module")
def combined():
    """A server that logs in the combined format."""
    with logging() as server:
        yield server


@pytest.fixture(scope="module")
def as_json():
    """A server that logs JSON under a name."""
    with logging(*JSON, "--worker", "3") as server:
        yield server


def request(server: ServerProcess, sent: bytes, method: str = "GET") -> str:
    """Send a request on a new connection; return its line of the access log."""
    lines = server.out.count("\n")
    with server.client() as client:
        client.request(sent, method=method)
        return last_line(server, lines + 1)


def events(server: ServerProcess) -> list[dict]:
    """Return what was logged as JSON, but requests."""
    return [json.loads(line) for line in server.err.splitlines()]


def named(records: list[dict], message: str) -> dict:
    """Return the last record with a message."""
    return [record for record in records if record["message"] == message][-1]


def test_a_combined_line_says_what_was_asked_and_answered(combined) -> None:
    fields = ("User-Agent: curl/8.0", "Referer: http://example.org/")
    line = COMBINED.fullmatch(request(combined, get("/alice?a=b", *fields)))
    assert line is not None
    assert line["addr"] == "127.0.0.1"
    assert line["request"] == "GET /alice?a=b HTTP/1.1"
    assert line["status"] == "200"
    assert int(line["size"]) > 12
    assert (line["referer"], line["agent"]) == ("http://example.org/", "curl/8.0")
    moment = datetime.strptime(line["time"], "%d/%b/%Y:%H:%M:%S %z")
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 60


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_value_forges_nothing_in_a_combined_line(value: str, combined) -> None:
    line = request(combined, get("/", f"User-Agent: {value}", f"Referer: {value}"))
    match = COMBINED.fullmatch(line)
    assert match is not None
    assert (match["status"], match["request"]) == ("200", "GET / HTTP/1.1")
    assert line.isascii()
    assert line.isprintable()


def test_a_quote_in_the_target_forges_nothing(combined) -> None:
    match = COMBINED.fullmatch(request(combined, get('/"/x\\"%22')))
    assert match is not None
    assert match["status"] == "200"


def test_a_refused_request_has_a_line(combined) -> None:
    match = COMBINED.fullmatch(request(combined, b"GET / HTTP/1.1\r\nX-A : b\r\n\r\n"))
    assert match is not None
    assert match["status"] == "400"


def test_requests_of_one_connection_have_a_line_each(combined) -> None:
    lines = combined.out.count("\n")
    with combined.client() as client:
        client.send(get("/1") + get("/2") + head("HEAD", "/3"))
        for method in ("GET", "GET", "HEAD"):
            client.read_final(method=method)
        last_line(combined, lines + 3)
    targets = [COMBINED.fullmatch(line)["request"] for line in combined.out.splitlines()[-3:]]
    assert targets == ["GET /1 HTTP/1.1", "GET /2 HTTP/1.1", "HEAD /3 HTTP/1.1"]


def test_a_json_line_says_what_was_asked_and_answered(as_json) -> None:
    line = json.loads(request(as_json, get("/alice?a=b", "User-Agent: curl/8.0")))
    assert line["event"] == "request"
    assert line["level"] == "info"
    assert line["worker"] == "3"
    assert (line["method"], line["target"]) == ("GET", "/alice?a=b")
    assert (line["status"], line["remote_addr"]) == (200, "127.0.0.1")
    assert line["user_agent"] == "curl/8.0"
    assert line["host"] == "example.org"
    assert line["bytes"] > 12
    assert 0 <= line["duration_ms"] < 10_000
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_value_stays_a_value_in_json(value: str, as_json) -> None:
    line = request(as_json, get("/", f"User-Agent: {value}"))
    assert json.loads(line)["user_agent"] == value
    assert line.isascii()


def test_a_refused_request_has_a_line_in_json(as_json) -> None:
    assert json.loads(request(as_json, b"GET /\r\n\r\n"))["status"] == 400


def test_every_line_of_a_json_log_is_json(as_json) -> None:
    for line in (as_json.out + as_json.err).splitlines():
        assert json.loads(line)["worker"] == "3"


def test_the_line_has_the_id_and_the_address_that_the_chain_found() -> None:
    with logging(*JSON, application="identified") as server:
        line = json.loads(request(server, get("/?f00d")))
        assert line["request_id"] == "f00d"
        assert line["remote_addr"] == "203.0.113.9"
        assert "worker" not in line


def test_a_unix_sockets_peer_has_no_address() -> None:
    with scratch() as directory:
        path = str(directory / "socket")
        flags = ("--bind", f"unix:{path}", *JSON)
        with started(*flags, application_name("hello"), address=path) as server:
            line = wait_until(lambda: server.out, "the probe's line")
            assert json.loads(line)["remote_addr"] == ""


def test_a_client_that_left_before_its_answer_has_a_line_with_499() -> None:
    with (
        scratch() as directory,
        Gate(directory) as gate,
        logging(*JSON, application="gate", env=gate.env) as server,
    ):
        client = server.client()
        client.send(get("/wait"))
        visit = gate.visit()
        client.reset()
        visit.release()
        line = json.loads(last_line(server, 2))
        assert (line["target"], line["status"]) == ("/wait", 499)


def test_records_of_logging_come_out_as_json() -> None:
    with logging(*JSON, application="logs") as server:
        request(server, get())
        records = [json.loads(line) for line in server.err.splitlines()]
    warning = next(record for record in records if record["level"] == "warning")
    assert warning["message"] == "a warning in\ntwo lines"
    assert (warning["event"], warning["request_id"]) == ("on_purpose", "r-1")
    assert warning["logger"] == "tests.logs"
    error = next(record for record in records if record["message"] == "an error")
    assert error["event"] == "log"
    assert error["exception"].startswith("Traceback")
    assert "ValueError: logged on purpose" in error["exception"]
    assert not any(record["level"] == "debug" for record in records)


def test_records_of_logging_come_out_as_text() -> None:
    with logging(application="logs") as server:
        request(server, get())
        assert "warning" in server.err
        assert "ValueError: logged on purpose" in server.err
        assert "for nobody" not in server.err


def test_wsgi_errors_goes_to_the_log() -> None:
    with logging(*JSON, application="writes_errors") as server:
        request(server, get())
        messages = [json.loads(line)["message"] for line in server.err.splitlines()]
    for line in ("first line for the log", "second line for the log", "third line: 小明"):
        assert line in messages


@pytest.mark.parametrize("threads", ["1", "4"])
def test_records_of_logging_have_the_id_of_their_request(threads: str) -> None:
    with logging(*JSON, "--threads", threads, application="logs") as server:
        request(server, get("/", "X-Request-ID: f00d"))
        records = events(server)
    assert named(records, "a warning in\ntwo lines")["request_id"] == "r-1"
    assert named(records, "an error")["request_id"] == "f00d"
    assert "request_id" not in named(records, "for all requests")


def test_records_of_slow_calls_have_the_ids_of_theirs() -> None:
    """They run beside the event loop, and several at a time."""
    with (
        logging(*JSON, "--threads", "4", application="logs") as server,
        contextlib.ExitStack() as stack,
    ):
        names = [f"id-{number}" for number in range(3)]
        clients = [stack.enter_context(server.client()) for _ in names]
        for client, name in zip(clients, names, strict=True):
            client.send(get(f"/slow?{name}", f"X-Request-ID: {name}"))
        for client in clients:
            client.read_final()
        records = events(server)
    for name in names:
        assert named(records, f"after a while {name}")["request_id"] == name


def test_in_text_the_id_of_its_request_ends_a_record() -> None:
    with logging(application="logs") as server:
        request(server, get("/", "X-Request-ID: f00d"))
        assert "an error request_id=f00d\nTraceback" in server.err


def test_what_goes_to_wsgi_errors_has_the_id_of_its_request() -> None:
    with logging(*JSON, application="writes_errors") as server:
        request(server, get("/", "X-Request-ID: f00d"))
        records = events(server)
    assert [each for each in records if each.get("request_id") == "f00d"][-1]["message"] == (
        "third line: 小明"
    )


def test_threads_of_the_application_have_no_id() -> None:
    with logging(*JSON, application="logs") as server:
        request(server, get("/thread", "X-Request-ID: f00d"))
        records = events(server)
    assert "request_id" not in named(records, "on a thread of its own")


@pytest.mark.parametrize("application", ["hello", "bascule_middleware.wsgi:application"])
def test_a_health_check_of_the_stack_has_no_line_while_it_succeeds(application: str) -> None:
    with scratch() as directory:
        path = str(directory / "socket")
        flags = ("--bind", f"unix:{path}", *JSON)
        with started(*flags, application_name(application), address=path) as server:
            probe = wait_until(lambda: server.out, "the probe's line")
            assert readiness.probe(Path(path), "/").status == 200
            # What nginx makes of its container's own check.
            marked = ("User-Agent: bascule-health", "X-Bascule-Health: nginx")
            with server.client() as client:
                client.request(get("/", *marked, "X-Forwarded-For: 127.0.0.1"))
                client.request(get("/hides", *marked, "X-Forwarded-For: 192.0.2.7"))
            wait_until(lambda: server.out != probe, "a line")
            assert json.loads(server.out[len(probe) :])["target"] == "/hides"


def test_an_error_of_the_application_is_logged_with_its_traceback() -> None:
    with logging(*JSON, application="raises") as server:
        line = json.loads(request(server, get("/call")))
        assert line["status"] == 500
        records = [json.loads(line) for line in server.err.splitlines()]
    error = next(record for record in records if record.get("path") == "/call")
    assert error["level"] == "error"
    assert "OnPurposeError: before start_response" in error["exception"]


def test_the_access_log_may_be_off() -> None:
    with running(bascule_command("--access-logfile", "off"), "hello") as server:
        with server.client() as client:
            client.request(get())
        assert server.stop() == 0
        assert server.out == ""


def test_sigusr1_reopens_the_access_log() -> None:
    with scratch() as directory:
        log, moved = directory / "access.log", directory / "access.log.1"
        with running(bascule_command("--access-logfile", str(log)), "hello") as server:
            with server.client() as client:
                client.request(get("/before"))
                wait_until(lambda: "/before" in log.read_text("ascii"), "the first line")
                log.rename(moved)
                client.request(get("/between"))
                wait_until(lambda: "/between" in moved.read_text("ascii"), "the second line")
                server.signal(signal.SIGUSR1)
                wait_until(log.exists, "a new file")
                client.request(get("/after"))
                wait_until(lambda: "/after" in log.read_text("ascii"), "the third line")
            assert "/after" not in moved.read_text("ascii")
            assert log.stat().st_mode & 0o007 == 0
            assert server.out == ""


def test_requests_go_on_where_the_log_cannot_be_written() -> None:
    full = "/dev/full"
    assert Path(full).exists()
    with running(bascule_command("--access-logfile", full), "echo") as server:
        for _ in range(3):
            with Client(server.address) as client:
                assert client.request(post("/sized", b"body")).status == 200


def test_the_lines_of_answered_requests_are_there_while_the_only_thread_is_kept() -> None:
    with (
        scratch() as directory,
        Gate(directory) as gate,
        running(bascule_command("--threads", "1"), "gate", env=gate.env) as server,
        server.client() as client,
    ):
        for number in range(20):  # one soon after the other
            assert client.request(get(f"/{number}")).status == 200
        client.send(get("/wait"))
        visit = gate.visit()
        wait_until(lambda: '"GET /19 HTTP/1.1"' in server.out, "the last line")
        visit.release()
        assert client.read().status == 200
