"""An application may do anything to the standard streams: it is served on, and the log goes on."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.log import lines
from tests.harness.servers import (
    ServerProcess,
    application_name,
    bascule_command,
    running,
    scratch,
)

from .requests import get, post

# An idle connection is closed by a tick, and short deadlines make short ticks.
FLAGS = ("--access-logformat", "json", "--threads", "4", "--keep-alive", "0.2")
MALFORMED = b"GET /\r\n\r\n"
WAYS = ("none", "bare", "raising", "text", "closed", "detached", "descriptors")


def ticks(server: ServerProcess) -> None:
    """Return once the server has ticked."""
    with server.client() as idle:
        assert idle.read() is None


def events(server: ServerProcess) -> list[str]:
    return [each["event"] for each in lines(server.err)]


def ends_well(server: ServerProcess) -> None:
    """Ask for one more thing, reopen the log, stop, and look whether all of it was told."""
    with server.client() as client:
        assert client.request(MALFORMED).status == 400
    with server.client() as client:
        assert client.request(get("/quiet")).status == 200
    server.signal(signal.SIGUSR1)
    ticks(server)
    assert server.stop() == 0
    assert events(server)[-2:] == ["draining", "stopped"]
    assert "told to wsgi.errors" in [each.get("message") for each in lines(server.err)]
    assert "/quiet" in [each.get("target") for each in lines(server.out)]
    assert "internal_error" not in events(server)


@pytest.mark.parametrize("way", WAYS)
def test_streams_that_are_gone_at_import_cost_nothing(way: str) -> None:
    with running(bascule_command(*FLAGS), "streams", env={"STREAMS": way}) as server:
        ticks(server)
        with server.client() as client:
            assert client.request(get("/")).status == 200
        ends_well(server)


@pytest.mark.parametrize("threads", ["1", "4"])
@pytest.mark.parametrize("way", WAYS)
def test_streams_that_a_call_takes_away_cost_nothing(way: str, threads: str) -> None:
    with running(bascule_command(*FLAGS, "--threads", threads), "streams") as server:
        for _ in range(2):
            with server.client() as client:
                assert client.request(get(f"/{way}?0.05")).status == 200
            ticks(server)
        ends_well(server)


def test_a_tick_in_a_call_that_redirects_its_streams_ends_nothing() -> None:
    with running(bascule_command(*FLAGS), "streams") as server:
        with server.client() as client:
            for _ in range(3):
                assert client.request(get("/redirect?0.15")).status == 200
        ends_well(server)


@contextlib.contextmanager
def started_by_a_shell(redirections: str, *flags: str) -> Iterator[ServerProcess]:
    """Run our server as a shell starts it, with some streams closed or elsewhere."""
    with scratch() as directory:
        path = str(directory / "socket")
        command = bascule_command(*FLAGS, *flags, "--bind", f"unix:{path}")
        line = f'exec "$@" {application_name("streams")} {redirections}'
        with ServerProcess(["sh", "-c", line, "sh", *command], path) as server:
            server.wait_until_it_answers()
            yield server


@pytest.mark.parametrize("redirections", ["2>&-", ">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_at_the_start_is_no_client_s_connection(redirections: str) -> None:
    with scratch() as elsewhere:
        log = elsewhere / "access.log"
        with started_by_a_shell(redirections, "--access-logfile", str(log)) as server:
            for _ in range(3):
                with contextlib.ExitStack() as stack:
                    clients = [stack.enter_context(server.client()) for _ in range(4)]
                    for client in clients:
                        assert client.request(get("/as-they-are?0.02")).body == b"well"
            ticks(server)
            standard = [
                str(Path(f"/proc/{server.pid}/fd/{number}").readlink()) for number in range(3)
            ]
            assert not [each for each in standard if not each.startswith("/")]
            assert server.stop() == 0
        assert "/as-they-are" in log.read_text()


def test_descriptors_that_a_call_closes_are_no_client_s_connection() -> None:
    with running(bascule_command(*FLAGS), "streams") as server, server.client() as first:
        assert first.request(get("/descriptors")).status == 200
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(server.client()) for _ in range(4)]
            for client in clients:  # what is printed meanwhile may fail, and is nobody's response
                assert client.request(get("/as-they-are")).status == 200
        ticks(server)
        with server.client() as client:
            assert client.request(get("/as-they-are")).body == b"well"
        ends_well(server)
        # And what is printed is in the log again.
        assert "printed" in server.err
        assert "printed" in server.out


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_log_that_nobody_reads_any_more_costs_lines_and_no_request(stream: str) -> None:
    """EPIPE: whoever read the pipe has ended."""
    with piped(stream) as (server, reader):
        os.close(reader)
        for _ in range(3):
            with server.client() as client:
                assert client.request(get("/quiet")).status == 200
                assert client.request(MALFORMED).status == 400
            ticks(server)
        assert server.stop() == 0


@pytest.mark.parametrize("blocking", [True, False], ids=["blocking", "EAGAIN"])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_log_that_is_full_costs_lines_and_no_request(stream: str, *, blocking: bool) -> None:
    """Whoever reads the pipe is stopped."""
    with piped(stream, blocking=blocking) as (server, reader):
        target = "/" + "x" * 3000
        with server.client() as client:
            for _ in range(60):  # more than the 64 KiB that a pipe holds
                assert client.request(get(f"/quiet{target}")).status == 200
                client.request(post("/quiet", b""))
        for _ in range(40 if stream == "stderr" else 0):
            with server.client() as client:
                assert client.request(get("/errors")).status == 200
        ticks(server)
        # Once it is read, it is written to again, from the beginning of a line.
        while select.select([reader], [], [], 0)[0]:
            os.read(reader, 1 << 16)
        with server.client() as client:
            client.request(get("/quiet/after"))
            client.request(get("/after"))
        end = b""
        while b"after" not in end and b"told to" not in end:
            end += os.read(reader, 1 << 16)
        assert server.stop() == 0


@contextlib.contextmanager
def piped(stream: str, *, blocking: bool = True) -> Iterator[tuple[ServerProcess, int]]:
    """Run our server with a stream that is a pipe; yield it and the pipe's other end."""
    reader, writer = os.pipe()
    os.set_blocking(writer, blocking)
    with scratch() as directory:
        path = str(directory / "socket")
        command = bascule_command(*FLAGS, "--bind", f"unix:{path}")
        number = ("stdout", "stderr").index(stream) + 1
        line = f'exec "$@" {application_name("streams")} {number}>&{writer} {writer}>&-'
        shell = ["bash", "-c", line, "bash"]  # sh knows no descriptors of two digits
        with ServerProcess([*shell, *command], path, pass_fds=[writer]) as server:
            os.close(writer)
            server.wait_until_it_answers()
            try:
                yield server, reader
            finally:
                with contextlib.suppress(OSError):
                    os.close(reader)


@pytest.mark.parametrize("way", ["closed", "text", "descriptors"])
def test_the_stacks_of_a_stuck_interpreter_are_told_whatever_became_of_the_streams(
    way: str,
) -> None:
    command = bascule_command(*FLAGS, "--timeout", "0.5")
    with running(command, "streams", env={"STREAMS": way}) as server:
        ticks(server)
        with server.client() as client:
            client.send(get("/hold"))
        assert server.wait(20) != 0
        assert "most recent call first" in server.err
