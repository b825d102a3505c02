"""--status-socket: a process tells what it is doing, whatever its threads do."""

from __future__ import annotations

import contextlib
import signal
import socket
import stat
from pathlib import Path

import pytest

from tests.harness.log import lines
from tests.harness.servers import (
    application_name,
    bascule_command,
    finished,
    running,
    scratch,
    started,
)
from tests.harness.waiting import wait_until

from .gate import Gate
from .requests import get, head, post
from .status import ANSWER_DEADLINE, read_status

JSON = ("--access-logformat", "json")


@pytest.fixture
def directory():
    """A short path for sockets."""
    with scratch() as directory:
        yield directory


@pytest.fixture
def gate(directory):
    """Where calls wait."""
    with Gate(directory) as gate:
        yield gate


@pytest.fixture
def path(directory):
    """Where a server tells its status."""
    return directory / "status"


def command(path, *arguments: str) -> list[str]:
    return bascule_command("--status-socket", str(path), *JSON, *arguments)


def of_state(status: dict, state: str) -> list[dict]:
    return [each for each in status["requests"] if each["state"] == state]


def test_an_idle_process_tells_who_it_is(path) -> None:
    with running(command(path, "--worker", "7", "--threads", "3"), "hello") as server:
        status = wait_until(
            lambda: not any((found := read_status(path))["connections"].values()) and found,
            "the probe's connection to go",
        )
        assert status["pid"] == server.pid
    assert list(status) == [
        "worker", "pid", "version", "python", "application", "started", "uptime_s", "state",
        "threads", "threads_busy", "threads_hung", "threads_extra", "streaming",
        "waiting", "backlog_requests", "connections",
        "resident_bytes", "descriptors", "requests", "recent_errors", "slow_calls",
        "internal_errors",
    ]  # fmt: skip
    assert status["worker"] == "7"
    assert status["application"] == application_name("hello")
    assert status["state"] == "serving"
    assert (status["threads"], status["threads_busy"], status["waiting"]) == (3, 0, 0)
    assert set(status["connections"]) == {"idle", "head", "body", "call", "send", "linger"}
    assert status["resident_bytes"] > 1 << 20
    assert 4 < status["descriptors"]["open"] < status["descriptors"]["limit"]
    assert (status["requests"], status["recent_errors"], status["slow_calls"]) == ([], [], [])


def test_the_socket_is_its_owners_alone_and_goes_with_the_process(path) -> None:
    with running(command(path), "hello") as server:
        mode = path.lstat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        assert server.stop() == 0
        assert not path.exists()


def test_a_process_that_ends_leaves_its_successors_socket(path) -> None:
    with running(command(path), "hello") as first, running(command(path), "hello") as second:
        assert read_status(path)["pid"] == second.pid
        assert first.stop() == 0
        assert read_status(path)["pid"] == second.pid


def test_it_answers_while_all_threads_hang_and_says_where(path, gate) -> None:
    with (
        running(command(path, "--threads", "2"), "gate", env=gate.env) as server,
        server.client() as one,
        server.client() as other,
        server.client() as third,
    ):
        visits = []
        for number, client in enumerate((one, other)):
            client.send(get(f"/wait?{number}", f"X-Request-ID: id-{number}"))
            visits.append(gate.visit())
        third.send(get("/wait?waits", "X-Request-ID: id-2"))
        status = wait_until(
            lambda: (found := read_status(path))["waiting"] == 1 and found, "one more waits"
        )
        for visit in visits:
            visit.release()
        gate.visit().release()
    assert (status["threads_busy"], status["connections"]["call"]) == (2, 3)
    hanging = {each["request_id"]: each for each in of_state(status, "running")}
    assert set(hanging) == {"id-0", "id-1"}
    first = hanging["id-0"]
    assert (first["method"], first["target"], first["path"]) == ("GET", "/wait?0", "/wait")
    assert first["peer"] == "127.0.0.1"
    assert 0 < first["age_s"] < 20
    assert "gate.py" in "".join(first["frames"])
    assert first["frames"][-2].endswith(" wait")
    assert "gate.py:" in first["location"]
    assert first["thread"] != hanging["id-1"]["thread"]
    (waiting,) = of_state(status, "waiting")
    assert (waiting["request_id"], waiting["path"]) == ("id-2", "/wait")
    assert (waiting["peer"], waiting["thread"], waiting["frames"]) == ("127.0.0.1", None, [])
    ages = [each["age_s"] for each in status["requests"]]
    assert ages == sorted(ages, reverse=True)


def test_it_answers_while_the_only_thread_hangs(path, gate) -> None:
    with (
        running(command(path, "--threads", "1"), "gate", env=gate.env) as server,
        server.client() as client,
    ):
        client.send(get("/wait", "X-Request-ID: alone"))
        visit = gate.visit()
        status = read_status(path)
        visit.release()
    assert (status["threads"], status["threads_busy"]) == (1, 1)
    (request,) = of_state(status, "running")
    assert (request["request_id"], request["thread"]) == ("alone", "MainThread")
    assert any(frame.endswith(" wait") for frame in request["frames"])


def test_it_answers_while_threads_compute(path) -> None:
    with (
        running(command(path, "--threads", "4"), "spins") as server,
        server.client() as one,
        server.client() as other,
        server.client() as third,
    ):
        for client in (one, other, third):
            client.send(get("/?2"))
        status = wait_until(
            lambda: (found := read_status(path))["threads_busy"] == 3 and found, "they compute"
        )
    assert len(of_state(status, "running")) == 3


def test_a_request_that_was_given_up_is_hung(path, gate) -> None:
    with (
        running(command(path, "--timeout", "0.2"), "gate", env=gate.env) as server,
        server.client() as client,
    ):
        client.send(get("/wait", "X-Request-ID: gone"))
        visit = gate.visit()
        assert client.read_final().status == 504
        status = wait_until(
            lambda: not of_state((found := read_status(path)), "sending") and found,
            "the answer in its place to be over",
        )
        (request,) = status["requests"]
        assert (request["state"], request["request_id"]) == ("hung", "gone")
        assert any("gate.py" in frame for frame in request["frames"])
        errors = [(each["event"], each["request_id"]) for each in status["recent_errors"]]
        assert errors.count(("hung_request", "gone")) == 1
        visit.release()
        wait_until(lambda: read_status(path)["requests"] == [], "the call to end")


def test_requests_that_upload_and_download_are_told(path) -> None:
    body = b"x" * 1000
    with (
        running(command(path), "big") as server,
        server.client() as uploads,
        server.client(receive_buffer=65536) as downloads,
        server.client() as begins,
    ):
        uploads.send(post("/", body)[:-1])
        downloads.send(get("/write"))
        begins.send(head("GET", "/")[:-2])
        status = wait_until(
            lambda: (
                len((found := read_status(path))["requests"]) == 2
                and of_state(found, "sending")
                and [found["connections"][each] for each in ("head", "body", "send")] == [1, 1, 1]
                and found
            ),
            "all three are in flight",
        )
    assert of_state(status, "body")[0]["method"] == "POST"
    (sending,) = of_state(status, "sending")
    assert sending["thread"]
    assert "big.py" in "".join(sending["frames"])


def test_it_answers_while_the_process_drains(path, gate) -> None:
    with (
        running(command(path), "gate", env=gate.env) as server,
        server.client() as client,
    ):
        client.send(get("/wait"))
        visit = gate.visit()
        server.signal(signal.SIGTERM)
        wait_until(lambda: read_status(path)["state"] == "draining", "it drains")
        visit.release()
        assert client.read_final().status == 200
        client.close()
        assert server.wait() == 0


def test_errors_of_server_and_application_are_told(path) -> None:
    with running(command(path), "raises") as server, server.client() as client:
        client.request(get("/call", "X-Request-ID: broken"))
        errors = read_status(path)["recent_errors"]
    assert errors[-1]["event"] == "application_error"
    assert errors[-1]["request_id"] == "broken"
    assert "OnPurposeError" in errors[-1]["message"]


def test_where_calls_are_slow_is_added_up_and_logged(path, gate) -> None:
    def found() -> dict | None:
        places = read_status(path)["slow_calls"]
        return places[0] if places and places[0]["total_s"] > 1 else None

    with (
        running(command(path), "gate", env=gate.env) as server,
        server.client() as client,
    ):
        client.send(get("/wait?slow", "X-Request-ID: slow"))
        visit = gate.visit()
        place = wait_until(found, "a second sample")
        visit.release()
        client.read_final()
        assert "gate.py:" in place["location"]
        assert place["location"].endswith(" wait")
        assert place["count"] >= 2
        assert place["path"] == "/wait"
        assert place["last"].endswith("Z")
        event = lines(server.err, "slow_call")[0]
    assert (event["request_id"], event["method"], event["path"]) == ("slow", "GET", "/wait")
    assert event["location"].endswith((" wait", " application"))
    assert event["frames"]
    assert event["age_s"] >= 0.005


@pytest.mark.parametrize("target", ["/generator", "/write"])
def test_a_call_that_waits_for_its_client_is_not_slow(path, target) -> None:
    def found() -> list[dict]:
        return [each for each in read_status(path)["requests"] if each["age_s"] > 1.5]

    with (
        running(command(path), "big") as server,
        server.client(receive_buffer=4096) as client,
    ):
        client.send(get(target))
        (request,) = wait_until(found, "a look")
        assert request["state"] == "sending"
        # On a busy machine the application may have taken a moment itself.
        places = read_status(path)["slow_calls"]
        assert all("big.py:" in place["location"] for place in places)
        assert sum(place["total_s"] for place in places) < 0.5
        assert all("big.py:" in each["location"] for each in lines(server.err, "slow_call"))


def test_calls_of_the_only_thread_are_sampled(path, gate) -> None:
    with (
        running(command(path, "--threads", "1"), "gate", env=gate.env) as server,
        server.client() as client,
    ):
        client.send(get("/wait"))
        visit = gate.visit()
        wait_until(lambda: read_status(path)["slow_calls"], "a sample")
        visit.release()
        client.read_final()
        (event,) = wait_until(lambda: lines(server.err, "slow_call"), "its event")
    assert event["path"] == "/wait"


def test_it_answers_while_descriptors_run_out(path) -> None:
    limit = 100
    shell = ["sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh"]
    with (
        running([*shell, *command(path)], "hoards") as server,
        server.client() as client,
    ):
        assert client.request(get("/all")).status == 200
        for _ in range(3):
            status = read_status(path)
            assert status["pid"] == server.pid
            assert status["descriptors"] == {"open": limit - 1, "limit": limit}


def test_a_client_that_does_not_read_holds_nobody_up_for_long(path) -> None:
    uploads = 300  # so many that the document is larger than what a socket holds
    upload = head("POST", "/" + "x" * 1000, "Content-Length: 1")
    with (
        running(command(path), "hello") as server,
        contextlib.ExitStack() as stack,
    ):
        for _ in range(uploads):
            stack.enter_context(server.client()).send(upload)
        wait_until(lambda: read_status(path)["connections"]["body"] == uploads, "all upload")
        idle = stack.enter_context(socket.socket(socket.AF_UNIX))
        idle.connect(str(path))
        assert len(read_status(path)["requests"]) == uploads


@pytest.mark.parametrize("place", ["/nowhere/at/all", "/" + "x" * 200])
def test_a_place_where_it_cannot_listen_stops_the_start(place: str) -> None:
    done = finished("--bind", "127.0.0.1:0", "--status-socket", place, application_name("hello"))
    assert done.returncode == 3
    assert done.stderr.startswith("bascule: --status-socket: cannot listen on unix:/")
    assert len(done.stderr.splitlines()) == 1


def test_a_start_that_fails_leaves_no_socket(directory) -> None:
    done = finished(
        "--bind", "127.0.0.1:0", "--status-socket", str(directory / "status"),
        application_name("fails_to_import"),
    )  # fmt: skip
    assert done.returncode == 4
    assert list(directory.iterdir()) == []


def test_without_the_setting_there_is_no_thread_for_it(directory) -> None:
    address = str(directory / "socket")
    flags = ("--bind", f"unix:{address}", "--threads", "1", "--timeout", "0")
    with started(*flags, application_name("hello"), address=address) as server:
        assert len(list(Path(f"/proc/{server.pid}/task").iterdir())) == 1


def test_the_deadline_of_these_tests_is_the_contracts() -> None:
    assert ANSWER_DEADLINE == 1.0
