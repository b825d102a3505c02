"""Whatever fails within the server, wherever that is: it is told and counted, and serving goes on."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import bascule.worker  # which knows all that has a place
import pytest
from bascule.guard import places
from bascule.told.metrics import read

from tests.applications import fails_within
from tests.harness.client import Address, Client, MalformedResponse
from tests.harness.log import lines
from tests.harness.servers import ServerProcess, application_name, scratch, started
from tests.harness.waiting import wait_until

from .requests import get
from .status import read_status

assert bascule.worker
NAMES = [place.name for place in places()]
# An idle connection is closed by a tick, and short deadlines make short ticks.
FLAGS = (
    *("--access-logformat", "json", "--keep-alive", "0.2", "--graceful-timeout", "5"),
    *("--access-logfile", "-", "--worker", "0"),
)
# These fail once the process is told to end.
AT_THE_END = ("drain", "end", "tick_draining")
ALONE = ("tick_signals", "watch")
REASONS = {"log": "ZeroDivisionError", "output": "No space left on device"}


def test_every_place_is_made_to_fail() -> None:
    assert sorted(fails_within.WAYS) == NAMES


def answers(address: Address, target: str = "/") -> bool:
    """Return whether a request is answered as it should be."""
    with contextlib.suppress(OSError, MalformedResponse), Client(address) as client:
        client.send(get(target))
        response = client.read()
        return response is not None and response.body == b"well"
    return False


def exercise(server: ServerProcess) -> None:
    """Have the server do whatever it does; where it fails it may owe a few answers."""
    for target in ("/", "/slow", "/signal?SIGUSR1", "/slow"):
        wait_until(lambda target=target: answers(server.address, target), target)
    with contextlib.suppress(OSError, MalformedResponse), server.client() as client:
        for _ in range(3):
            client.send(get("/"))
            if client.read() is None:
                break
    server.signal(signal.SIGUSR1)


@pytest.mark.parametrize("name", NAMES)
def test_what_fails_is_told_and_counted_and_ends_nothing(name: str) -> None:
    threads = "1" if name in ALONE else "4"
    with scratch() as directory:
        status, counted, hold = (directory / each for each in ("status", "metrics", "hold"))
        address = str(directory / "socket")
        flags = [*FLAGS, "--status-socket", str(status), "--metrics-file", str(counted)]
        if name == "tick_publishing":
            hold.touch()
            flags += ["--hold", str(hold)]
        argv = [*flags, "--threads", threads, "--bind", f"unix:{address}"]
        with started(
            *argv, application_name("fails_within"), address=address, env={"PLACE": name}
        ) as server:
            exercise(server)
            if name == "main":
                server.signal(signal.SIGUSR2)
            if name not in AT_THE_END:
                wait_until(lambda: name in failed(status), f"{name} has failed")
            with server.client() as idle:  # ticks go on
                assert idle.read() is None
            assert server.is_running()
            for _ in range(3):
                assert answers(server.address)
                assert answers(server.address, "/slow")
            ends(server, signal.SIGINT if name == "tick_draining" else signal.SIGTERM)
            (failure, *_) = [
                each for each in lines(server.err, "internal_error") if each["place"] == name
            ]
            assert failure["level"] == "critical"
            assert REASONS.get(name, "on purpose") in failure["exception"]
            assert failure["kept_back"] == 0
            assert lines(server.err, "stopped")
            (metrics,) = read(counted)
            assert metrics.internal_errors >= 1


def failed(path: Path) -> dict[str, int]:
    """Return how often each place has failed, as the status has it."""
    with contextlib.suppress(OSError, ValueError):
        return {each["place"]: each["count"] for each in read_status(path)["internal_errors"]}
    return {}


def ends(server: ServerProcess, number: signal.Signals) -> None:
    """End the server while somebody is connected; return once it has ended well."""
    with server.client() as client:
        client.send(get("/slow"))
        client.read()
        server.signal(number)
        assert server.wait() == 0


def test_what_fails_again_and_again_does_not_fill_the_log() -> None:
    with scratch() as directory:
        status, address = directory / "status", str(directory / "socket")
        argv = [*FLAGS, "--status-socket", str(status), "--bind", f"unix:{address}"]
        env = {"PLACE": "tick_hung"}
        with started(*argv, application_name("fails_within"), address=address, env=env) as server:
            wait_until(lambda: failed(status).get("tick_hung", 0) >= 10, "it fails each tick")
            assert server.stop() == 0
            assert len(lines(server.err, "internal_error")) == 1
