"""An application may do anything to logging: what the server has to tell stays in the log."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.harness.log import lines
from tests.harness.servers import ServerProcess, bascule_command, running, scratch
from tests.harness.waiting import wait_until

from .requests import get
from .status import read_status

# Handlers that wait for ever keep a process from ending, until its grace is over.
JSON = ("--access-logformat", "json", "--log-level", "debug", "--graceful-timeout", "2")
MALFORMED = b"GET /\r\n\r\n"
WAYS = (
    *("nothing", "dict", "dict-kept", "file", "disable", "shutdown", "no-handlers", "level"),
    *("sees", "raises", "exits", "blocks", "lock", "factory", "class", "manager"),
    *("no-exceptions", "levels"),
)
# With these an application that logs does so to its own harm.
WAIT = ("lock", "blocks", "exits")
THREADS = pytest.mark.parametrize("threads", ["1", "4"])


def tells_all(server: ServerProcess, *, wsgi_errors: bool = True) -> None:
    """Bring every kind of event about, one after another, and see that each is told."""
    before = server.err.count("\n")
    with server.client() as client:
        assert client.request(MALFORMED).status == 400
    with server.client() as client:
        assert client.request(get("/raise")).status == 500
        if wsgi_errors:
            assert client.request(get("/tell")).body == b"well"
        # The first slow call of a kind is sampled, if there is somebody to take over.
        assert client.request(get("/slow")).body == b"well"
        client.send(get("/slow"))
        server.signal(signal.SIGTERM)
        assert client.read_final().body == b"well"
    assert server.wait() == 0
    told = [json.loads(line) for line in server.err.splitlines()[before:] if line[:1] == "{"]
    names = [each["event"] for each in told]
    for name in ("refused", "application_error", "draining", "stopped"):
        assert name in names
    assert ("slow_call" in names) == (server.command[server.command.index("--threads") + 1] != "1")
    (error,) = [each for each in told if each["event"] == "application_error"]
    assert "LookupError: raised on purpose" in error["exception"]
    assert error["level"] == "error"
    if wsgi_errors:
        assert "told to wsgi.errors" in [each["message"] for each in told]


@THREADS
@pytest.mark.parametrize("way", WAYS)
def test_what_an_application_does_to_logging_at_import_silences_nothing(
    way: str, threads: str
) -> None:
    command = bascule_command(*JSON, "--threads", threads)
    with running(command, "own_logging", env={"LOGGING": way}) as server:
        assert lines(server.err, "listening")
        tells_all(server, wsgi_errors=way not in WAIT)


@THREADS
@pytest.mark.parametrize("way", WAYS)
def test_what_an_application_does_to_logging_in_a_call_silences_nothing(
    way: str, threads: str
) -> None:
    with running(bascule_command(*JSON, "--threads", threads), "own_logging") as server:
        with server.client() as client:
            assert client.request(get(f"/{way}")).body == b"well"
        tells_all(server, wsgi_errors=way not in WAIT)


@pytest.mark.parametrize("way", ["sees", "dict-kept"])
def test_a_handler_of_the_application_s_sees_the_server_s_events(way: str) -> None:
    with running(bascule_command(*JSON), "own_logging", env={"LOGGING": way}) as server:
        with server.client() as client:
            assert client.request(get("/raise")).status == 500
            assert client.request(get("/tell")).status == 200
            wait_until(
                lambda: b"application_error" in client.request(get("/seen")).body, "it is seen"
            )
            assert b"told to wsgi.errors" in client.request(get("/seen")).body
        assert len(lines(server.err, "application_error")) == 1  # and it stands in the log once


@pytest.mark.parametrize("way", ["raises", "exits"])
def test_a_handler_that_raises_is_told_of_and_counted(way: str) -> None:
    with scratch() as directory:
        path = directory / "status"
        command = bascule_command(*JSON, "--status-socket", str(path))
        with running(command, "own_logging", env={"LOGGING": way}) as server:
            for _ in range(3):
                with server.client() as client:
                    assert client.request(MALFORMED).status == 400

            def failures() -> list[dict]:
                return read_status(path)["internal_errors"]

            # listening, and each refusal
            wait_until(lambda: failures() and failures()[0]["count"] >= 4, "all are counted")
            (failure,) = failures()
            assert failure["place"] == "log_handler"
            assert failure["error"].startswith(("RuntimeError: a handler", "SystemExit: 3"))
            assert server.stop() == 0
            (told,) = lines(server.err, "internal_error")  # once, however often it raises
            assert told["place"] == "log_handler"
            assert "own_logging.py" in told["exception"]


@pytest.mark.parametrize("way", ["dict", "disable", "factory", "raises"])
def test_the_chain_s_events_survive_as_well(way: str) -> None:
    with scratch() as directory:
        chain = directory / "chain.toml"
        chain.write_text(
            'application = "tests.applications.own_logging:application"\n'
            '[[links]]\nuse = "exceptions"\n'
        )
        env = {"LOGGING": way, "BASCULE_CHAIN": str(chain)}
        command = bascule_command(*JSON)
        with running(command, "bascule_middleware.wsgi:application", env=env) as server:
            with server.client() as client:
                assert client.request(get("/raise")).status == 500
            (told,) = lines(server.err, "exception")
            assert "LookupError: raised on purpose" in told["exception"]
            assert told["logger"] == "bascule.exceptions"


@pytest.mark.parametrize("way", ["dict", "disable", "no-handlers"])
def test_the_status_knows_the_last_errors_whatever_logging_is(way: str) -> None:
    with scratch() as directory:
        path = Path(directory / "status")
        command = bascule_command(*JSON, "--status-socket", str(path))
        with running(command, "own_logging") as server, server.client() as client:
            client.request(get(f"/{way}"))
            client.request(get("/raise", "X-Request-ID: f00d"))
            (error,) = read_status(path)["recent_errors"]
            assert (error["event"], error["request_id"]) == ("application_error", "f00d")
