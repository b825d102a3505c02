"""Applications that fork: their children answer nothing, hold nothing open and hold nobody up."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.client import Ending
from tests.harness.servers import ServerProcess, bascule_command, running, scratch, started
from tests.harness.waiting import wait_until

from .requests import get


@pytest.fixture(scope="module", params=["1", "4"], ids=["one thread", "four threads"])
def forks(request) -> Iterator[ServerProcess]:
    """A server of an application that forks."""
    command = bascule_command("--threads", request.param, "--access-logformat", "json")
    with running(command, "forks") as server:
        yield server


def sockets(pid: int) -> set[str]:
    """Return the sockets and pollers that a process has open."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            name = str(descriptor.readlink())
            if name.startswith(("socket:", "anon_inode:[eventpoll]")):
                found.add(name)
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def is_refused(server: ServerProcess) -> bool:
    """Whether nobody listens any more."""
    try:
        server.client().close()
    except ConnectionRefusedError:
        return True
    return False


@contextlib.contextmanager
def child_of(server: ServerProcess, target: str) -> Iterator[int]:
    """Have the application start a child that lives on; end it after the block."""
    with server.client() as client:
        child = int(client.request(get(target)).body)
    try:
        yield child
    finally:
        if is_alive(child):
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("/exit", b"0\n"),
        ("/return", b"1\n"),
        ("/sys-exit", b"1\n"),
        ("/multi?fork", b"0\n"),
        ("/multi?spawn", b"0\n"),
        ("/threads", b"0\n" * 8),
    ],
)
def test_one_answer_comes_and_it_is_the_workers(
    target: str, answer: bytes, forks: ServerProcess
) -> None:
    with forks.client() as client:
        for _ in range(2):
            assert client.request(get(target)).body == answer
            assert client.still_open(get()) is Ending.OPEN
    assert forks.is_running()
    lines = [line for line in forks.out.splitlines() if f'"{target}"' in line]
    wait_until(
        lambda: sum(f'"{target}"' in line for line in forks.out.splitlines()) == 2,
        f"one line a request, not {lines}",
    )


def test_a_child_that_goes_on_with_a_stream_sends_nothing(forks: ServerProcess) -> None:
    with forks.client() as client:
        assert client.request(get("/stream")).body == b"one\ntwo\n"
        assert client.request(get()).body == b"well\n"


def test_a_child_that_lives_on_has_no_socket_of_the_servers(forks: ServerProcess) -> None:
    with forks.client() as idle, child_of(forks, "/stay") as child:
        assert idle.request(get()).status == 200
        wait_until(lambda: not sockets(child) & sockets(forks.pid), "the child lets go")
        with forks.client() as another:
            assert another.request(get()).body == b"well\n"
        idle.send(get("/close").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert idle.read_final().status == 200
        assert idle.read_ending() is Ending.FIN  # though the child lives on


def test_a_signal_to_a_child_is_none_to_the_worker(forks: ServerProcess) -> None:
    """multiprocessing's terminate() sends SIGTERM, which would have the worker drain."""
    with forks.client() as client:
        codes = client.request(get("/terminate")).body
        assert codes == repr([-signal.SIGTERM] * 10).encode()
        assert client.request(get()).body == b"well\n"
    with child_of(forks, "/stay") as child:
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
            if is_alive(child):
                os.kill(child, number)
        wait_until(lambda: not is_alive(child), "the child has ended")
        with forks.client() as client:
            assert not client.request(get()).says_close
    assert "draining" not in forks.err


@pytest.mark.parametrize("target", ["/program", "/system"])
def test_a_program_that_is_started_inherits_no_socket(target: str, forks: ServerProcess) -> None:
    with forks.client() as client:
        listing = client.request(get(target)).body.decode()
    assert " 0 -> " in listing
    assert "socket:" not in listing
    assert "eventpoll" not in listing


@pytest.mark.parametrize("threads", ["1", "4"])
def test_a_child_that_lives_on_holds_up_no_drain(threads: str) -> None:
    command = bascule_command("--threads", threads)
    with running(command, "forks") as server, child_of(server, "/stay") as child:
        server.signal(signal.SIGTERM)
        assert server.wait(5) == 0
        assert is_alive(child)


def test_a_process_of_multiprocessing_holds_up_the_end_no_longer_than_a_drain_may_take() -> None:
    command = bascule_command("--threads", "2", "--graceful-timeout", "0.5")
    with running(command, "forks") as server, child_of(server, "/leave?fork"):
        server.signal(signal.SIGTERM)
        assert server.wait(10) == 0
        assert "would not end within --graceful-timeout" in server.err


def test_a_path_is_dead_once_the_worker_is_whatever_its_children_do() -> None:
    with scratch() as directory:
        address = str(directory / "socket")
        arguments = ["--bind", f"unix:{address}", "tests.applications.forks:application"]
        with started(*arguments, address=address) as server, child_of(server, "/stay") as child:
            server.signal(signal.SIGKILL)
            server.wait()
            wait_until(lambda: is_refused(server), "nobody listens")
            assert is_alive(child)


def test_forks_amid_other_requests_disturb_none() -> None:
    with running(bascule_command("--threads", "4"), "forks") as server:
        wrong: list[object] = []

        def ask(targets: list[str], answers: set[bytes]) -> None:
            with server.client() as client:
                for target in targets:
                    body = client.request(get(target)).body
                    if body not in answers:
                        wrong.append((target, body))

        clients = [
            threading.Thread(target=ask, args=(["/exit", "/return"] * 10, {b"0\n", b"1\n"})),
            threading.Thread(target=ask, args=(["/threads"] * 3, {b"0\n" * 8})),
            *(threading.Thread(target=ask, args=(["/"] * 200, {b"well\n"})) for _ in range(3)),
        ]
        for each in clients:
            each.start()
        for each in clients:
            each.join()
        assert wrong == []
        assert server.stop() == 0
