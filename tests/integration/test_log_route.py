"""--log-route: lines go past whoever copies the server's output, and no request waits for a reader."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tests.harness.log import lines
from tests.harness.servers import ServerProcess, bascule_command, running, scratch
from tests.harness.waiting import wait_until

from .requests import get

JSON = ("--access-logformat", "json")


@contextlib.contextmanager
def routed(application: str, output: Path | None = None) -> Iterator[tuple[ServerProcess, Path]]:
    """Run a server whose output leads to two files in the end; yield it, and where they are."""
    with scratch() as directory:
        for number in ("1", "2"):
            (directory / number).touch()
        if output:
            (directory / "1").unlink()
            (directory / "1").symlink_to(output)
        command = bascule_command("--log-route", str(directory), *JSON)
        with running(command, application) as server:
            yield server, directory


def ask(server: ServerProcess, target: str, agent: str = "me") -> int:
    """Send a request; return the status."""
    with server.client() as client:
        return client.request(get(target, f"User-Agent: {agent}")).status


def test_lines_of_requests_and_of_the_application_go_to_the_end_of_the_output() -> None:
    with routed("logs") as (server, directory):
        assert ask(server, "/alice") == 200
        output, error = directory / "1", directory / "2"
        wait_until(lambda: "/alice" in output.read_text(), "the request's line")
        assert {each["event"] for each in lines(output.read_text())} == {"request"}
        assert {each["logger"] for each in lines(error.read_text())} == {"tests.logs"}
        assert server.stop() == 0
        # What the server says of itself, its supervisor hears.
        assert server.out == ""
        assert [each["event"] for each in lines(server.err)] == [
            *("log", "listening", "draining", "stopped")  # the first while it was loaded
        ]


def test_a_log_that_is_put_aside_is_left_without_a_signal_and_without_losing_a_line() -> None:
    with routed("hello") as (server, directory):
        log, aside = directory / "1", directory / "1.aside"
        ask(server, "/before")
        log.rename(aside)
        ask(server, "/between")
        wait_until(lambda: "/between" in aside.read_text(), "the line in the file put aside")
        log.touch()
        number = 0

        def is_followed() -> bool:
            nonlocal number
            number += 1
            ask(server, f"/{number}")
            return log.stat().st_size > 0

        wait_until(is_followed, "a line in the new file")
        assert server.stop() == 0
        found = lines(aside.read_text() + log.read_text())
        targets = [each["target"] for each in found]
        assert targets[-number:] == [f"/{each}" for each in range(1, number + 1)]


def test_where_nobody_reads_requests_are_answered_and_the_lines_that_are_lost_are_counted() -> None:
    reader, writer = os.pipe()
    try:
        with routed("hello", Path(f"/proc/{os.getpid()}/fd/{writer}")) as (server, _):
            agent = "x" * 7000
            while not lines(server.err, "log_lost"):
                assert ask(server, "/alice", agent) == 200
            (lost, *_) = lines(server.err, "log_lost")
            assert lost["lines"] >= 1
            assert "nobody reads it" in lost["message"]
            os.set_blocking(reader, False)
            found = b""
            while b"/bob" not in found:
                with contextlib.suppress(BlockingIOError):
                    found += os.read(reader, 1 << 20)
                assert ask(server, "/bob") == 200
            whole = found.decode().splitlines()[:-1]
            assert [line for line in whole if not line.startswith('{"time"')] == []
            assert len(lines("\n".join(whole))) == len(whole)
    finally:
        os.close(reader)
        os.close(writer)


def test_what_a_forked_process_says_goes_to_the_server_s_own_output() -> None:
    with routed("forks_and_logs") as (server, directory):
        assert ask(server, "/") == 200
        assert server.stop() == 0
        assert "of the child" in server.err
        assert "of the parent" in (directory / "2").read_text()
        assert "of the child" not in (directory / "2").read_text()
