"""What an application may do to its process, and a machine to both: the worker goes on serving."""

from __future__ import annotations

import json
import shutil
import signal
import threading

import pytest

from tests.harness.client import Ending
from tests.harness.servers import ServerProcess, bascule_command, running
from tests.harness.waiting import wait_until

from .requests import get, head, post

MEBIBYTE = 1 << 20
JSON = ("--access-logformat", "json")


def errors(server: ServerProcess) -> list[dict]:
    """Return the events of errors of the application."""
    found = [json.loads(line) for line in server.err.splitlines() if line.startswith("{")]
    return [each for each in found if each["event"] == "application_error"]


@pytest.fixture(scope="module", params=["1", "4"], ids=["one thread", "four threads"])
def misbehaves(request):
    """A server of an application that ends badly."""
    command = bascule_command(*JSON, "--threads", request.param)
    with running(command, "misbehaves") as server:
        yield server


ENDS = {
    "exit": "SystemExit: 3",
    "interrupt": "KeyboardInterrupt",
    "recursion": "RecursionError",
    "memory": "MemoryError",
}


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("where", ["", "threads/"])
def test_what_would_end_a_process_ends_a_request_with_500(
    name: str, where: str, misbehaves
) -> None:
    for _ in range(3):
        before = len(errors(misbehaves))
        with misbehaves.client() as client:
            assert client.request(get(f"/{where}{name}")).status == 500
            assert client.request(get()).body == b"well\n"  # on the same connection
        wait_until(lambda n=before: len(errors(misbehaves)) > n, "the error is logged")
        assert ENDS[name] in errors(misbehaves)[-1]["message"]
    assert misbehaves.is_running()


@pytest.mark.parametrize("name", ENDS)
def test_what_would_end_a_process_cuts_short_a_response_that_has_begun(
    name: str, misbehaves
) -> None:
    with misbehaves.client() as client:
        response = client.request(get(f"/stream/{name}"))
        assert (response.status, response.body, response.complete) == (200, b"begun\n", False)
    with misbehaves.client() as client:
        assert client.request(get()).body == b"well\n"


@pytest.mark.parametrize("seconds", [-40_000_000, 40_000_000], ids=["back", "ahead"])
def test_a_jump_of_the_clock_ends_nothing_and_hastens_nothing(seconds: int) -> None:
    command = bascule_command(*JSON, "--threads", "2", "--timeout", "20")
    with (
        running(command, "misbehaves") as server,
        server.client() as idle,
        server.client() as half,
        server.client() as client,
    ):
        assert idle.request(get()).status == 200
        half.send(b"GET / HTTP/1.1\r\n")
        before = client.request(get()).one("Date")
        after = client.request(get(f"/clock?{seconds}")).one("Date")
        assert before is not None
        assert after is not None
        assert int(before.split()[3]) - int(after.split()[3]) in ((1, 2), (-1, -2))[seconds > 0]
        assert client.request(get("/threads/")).body == b"well\n"  # ticks passed or not, it lives
        half.send(b"Host: example.org\r\n\r\n")
        assert half.read_final().body == b"well\n"
        assert idle.request(get()).body == b"well\n"
        server.signal(signal.SIGTERM)
        wait_until(lambda: "draining" in server.err, "it drains")
        assert client.request(get()).says_close
        idle.close()
        half.close()
        assert server.wait(10) == 0
        assert "hung_request" not in server.err
        assert "cut_short" not in server.err


@pytest.mark.parametrize("path", ["/print", "/descriptor", "/process"])
def test_what_an_application_prints_is_no_part_of_the_response(path: str) -> None:
    with running(bascule_command(), "prints") as server, server.client() as client:
        response = client.request(get(path))
        assert (response.status, response.body) == (200, b"the response\n")
        assert client.request(get(path)).body == b"the response\n"


@pytest.mark.parametrize("threads", ["1", "4"])
def test_signals_in_the_middle_of_everything_interrupt_nothing(threads: str) -> None:
    """SIGUSR1 has a handler, so each one may end a system call early (EINTR)."""
    body = bytes(range(256)) * 4096 * 8  # 8 MiB
    over = threading.Event()

    def disturb() -> None:
        while not over.wait(0.001):
            server.signal(signal.SIGUSR1)

    with running(bascule_command("--threads", threads), "echo") as server:
        disturber = threading.Thread(target=disturb)
        disturber.start()
        try:
            for path in ("/read", "/negative") * 2:
                with server.client() as client:
                    response = client.request(post(path, body))
                    assert response.status == 200
                    assert response.complete
                    assert response.body.endswith(body)
        finally:
            over.set()
            disturber.join()
        assert server.stop() == 0


@pytest.fixture
def full_disk():
    """A server whose files may have 2 MiB, as if the disk were full then."""
    assert shutil.which("prlimit"), "prlimit is of util-linux, which every Linux has"
    limit = ["prlimit", f"--fsize={2 * MEBIBYTE}"]
    with running([*limit, *bascule_command(*JSON, "--threads", "2")], "echo") as server:
        yield server


@pytest.mark.parametrize("more", [1, 100, 9000, MEBIBYTE])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_an_upload_that_no_longer_fits_the_disk_is_answered_503(
    more: int, chunked: bool, full_disk
) -> None:
    size = 2 * MEBIBYTE + more
    for _ in range(2):
        with full_disk.client() as client:
            if chunked:
                client.send(head("POST", "/sized", "Transfer-Encoding: chunked"))
                client.send(b"%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n")
            else:
                client.send(post("/sized", b"x" * size))
            response = client.read_final()
            assert (response.status, response.says_close) == (503, True)
            client.end_sending()
            assert client.read_ending() in (Ending.FIN, Ending.RST)
        with full_disk.client() as client:
            assert client.request(post("/sized", b"y" * MEBIBYTE)).body.endswith(b"yyy")
    assert "Traceback" not in full_disk.err
    assert full_disk.is_running()


def test_a_full_disk_for_the_log_costs_lines_and_no_request() -> None:
    command = bascule_command(*JSON, "--access-logfile", "/dev/full")
    with running(command, "hello") as server, server.client() as client:
        for _ in range(3):
            assert client.request(get()).status == 200
        client.close()
        assert server.stop() == 0
