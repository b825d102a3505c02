"""Unix sockets: readiness, and how one process takes a path over from another."""

from __future__ import annotations

import contextlib
import signal
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.client import Client, Ending, MalformedResponse
from tests.harness.servers import (
    ServerProcess,
    application_name,
    bascule_command,
    finished,
    running,
    scratch,
    started,
)
from tests.harness.waiting import wait_until

from .gate import Gate
from .requests import get

HELLO = application_name("hello")


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short-named directory."""
    with scratch() as path:
        yield path


def serve(path: Path, application: str = HELLO, *flags: str, **options):
    """Start our server on a unix socket."""
    return started("--bind", f"unix:{path}", *flags, application, address=str(path), **options)


@contextlib.contextmanager
def taking_over(path: Path) -> Iterator[ServerProcess]:
    """Start our server on a socket that another process serves; yield it once the path is its."""
    inode = path.stat().st_ino
    with serve(path, wait=False) as server:
        wait_until(lambda: path.stat().st_ino != inode, "another socket at the path")
        yield server


def answers(path: Path) -> int:
    """Return the status of a request through the socket; 0 where nobody listens, perhaps yet."""
    try:
        with Client(str(path)) as client:
            return client.request(get("/", "Connection: close")).status
    except ConnectionRefusedError:
        return 0


class Load:
    """Requests without a pause from several threads, each on a connection of its own."""

    def __init__(self, path: Path, threads: int = 3) -> None:
        self._path = path
        self._stop = threading.Event()
        self.served = 0
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._work) for _ in range(threads)]

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                status = answers(self._path)
            except (OSError, MalformedResponse) as error:
                self.failures.append(repr(error))
                return
            if status != 200:
                self.failures.append(str(status))
            self.served += 1

    def more(self, requests: int) -> None:
        """Wait until this many more requests were served, or one failed."""
        goal = self.served + requests
        wait_until(lambda: self.served >= goal or self.failures, "more requests")

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)


def test_a_new_process_takes_the_path_over_without_a_failed_request(directory: Path) -> None:
    path = directory / "worker.sock"
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(serve(path))
        load = stack.enter_context(Load(path))
        for _ in range(3):
            load.more(50)
            new = stack.enter_context(taking_over(path))
            load.more(50)
            old.signal(signal.SIGTERM)
            assert old.wait() == 0
            load.more(50)
            old = new
        assert load.failures == []
    assert not path.exists()


def held_socket(path: Path, server: ServerProcess) -> Path:
    """The temporary name on which a process that holds back can be asked already."""
    return path.with_name(f".{path.name}.{server.pid}")


def is_answering(path: Path) -> bool:
    """Whether somebody answers there by now."""
    try:
        return answers(path) == 200
    except OSError:
        return False


def test_a_process_on_hold_answers_on_its_own_name_and_takes_the_path_when_it_is_let(
    directory: Path,
) -> None:
    path, hold = directory / "worker.sock", directory / "hold"
    with serve(path) as old:
        inode = path.stat().st_ino
        hold.touch()
        with serve(path, HELLO, "--hold", str(hold), wait=False) as new:
            held = held_socket(path, new)
            wait_until(lambda: is_answering(held), "an answer of the new")
            assert path.stat().st_ino == inode
            assert "Serving" not in new.err
            hold.unlink()
            wait_until(lambda: path.stat().st_ino != inode, "the take-over")
            assert not held.exists()
            assert old.stop() == 0
            assert answers(path) == 200


def test_a_process_on_hold_serves_where_nobody_else_does(directory: Path) -> None:
    path, hold = directory / "worker.sock", directory / "hold"
    hold.touch()
    with serve(path, HELLO, "--hold", str(hold)) as first:
        assert answers(path) == 200
        with serve(path, HELLO, "--hold", str(hold), wait=False) as second:
            wait_until(held_socket(path, second).exists, "the second")
            first.signal(signal.SIGKILL)
            wait_until(lambda: "Serving" in second.err, "it sees that it is alone")
            assert answers(path) == 200


def test_a_process_that_is_stopped_on_hold_leaves_the_other_its_path(directory: Path) -> None:
    path, hold = directory / "worker.sock", directory / "hold"
    hold.touch()
    with serve(path), serve(path, HELLO, "--hold", str(hold), wait=False) as new:
        wait_until(lambda: is_answering(held_socket(path, new)), "an answer of the new one")
        assert new.stop() == 0
        assert {each.name for each in directory.iterdir()} == {"worker.sock", "hold"}
        assert answers(path) == 200


def test_a_connection_made_before_the_take_over_is_served_by_the_old_process(
    directory: Path,
) -> None:
    path = directory / "worker.sock"
    with serve(path) as old, Client(str(path)) as client, taking_over(path) as new:
        assert client.request(get()).status == 200
        old.signal(signal.SIGTERM)
        response = client.request(get())
        assert response.status == 200
        assert old.is_running() or response.says_close
        client.close()
        assert old.wait() == 0
        assert new.is_running()
        assert answers(path) == 200


def test_the_path_is_removed_at_the_end(directory: Path) -> None:
    path = directory / "worker.sock"
    with serve(path) as server:
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0
        assert server.stop() == 0
    assert list(directory.iterdir()) == []


def test_a_path_that_belongs_to_somebody_else_by_now_is_left_alone(directory: Path) -> None:
    path = directory / "worker.sock"
    with serve(path) as server, socket.socket(socket.AF_UNIX) as foreign:
        foreign.bind(str(directory / "other"))
        (directory / "other").rename(path)
        inode = path.stat().st_ino
        assert server.stop() == 0
        assert path.stat().st_ino == inode


def test_a_socket_that_nobody_listens_on_is_replaced(directory: Path) -> None:
    path = directory / "worker.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with serve(path):
        assert answers(path) == 200


def test_a_regular_file_at_the_path_is_refused_and_kept(directory: Path) -> None:
    path = directory / "worker.sock"
    path.write_text("precious", encoding="utf-8")
    result = finished("--bind", f"unix:{path}", HELLO)
    assert result.returncode == 3
    assert result.stderr == (
        f"bascule: cannot listen on unix:{path}: the path is there and is no socket\n"
    )
    assert [entry.name for entry in directory.iterdir()] == ["worker.sock"]
    assert path.read_text(encoding="utf-8") == "precious"


def test_the_path_appears_only_once_the_application_is_loaded(directory: Path) -> None:
    """The application's import looks for the path: it must not be there."""
    path = directory / "worker.sock"
    (directory / "looks.py").write_text(
        "import pathlib\n"
        f"seen = pathlib.Path({str(path)!r}).exists()\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [str(seen).encode()]\n",
        encoding="utf-8",
    )
    with (
        serve(path, "looks:application", env={"PYTHONPATH": str(directory)}),
        Client(str(path)) as client,
    ):
        assert client.request(get()).body == b"False"


def test_an_application_that_fails_leaves_the_running_process_its_path(directory: Path) -> None:
    path = directory / "worker.sock"
    with serve(path):
        inode = path.stat().st_ino
        result = finished("--bind", f"unix:{path}", application_name("fails_to_import"))
        assert result.returncode == 4
        assert path.stat().st_ino == inode
        assert [entry.name for entry in directory.iterdir()] == ["worker.sock"]
        assert answers(path) == 200


def test_a_request_in_flight_on_a_unix_socket_ends_with_200(directory: Path) -> None:
    path = directory / "worker.sock"
    with (
        Gate(directory) as gate,
        serve(path, application_name("gate"), env=gate.env) as server,
        Client(str(path)) as client,
    ):
        client.send(get("/wait"))
        visit = gate.visit()
        server.signal(signal.SIGTERM)
        wait_until(lambda: not path.exists(), "the path is gone")
        visit.release()
        response = client.read_final()
        assert response.status == 200
        assert response.says_close
        assert client.read_ending() is Ending.FIN
        client.close()
        assert server.wait() == 0


def test_two_addresses_are_served_alike(directory: Path) -> None:
    first, second = directory / "first.sock", directory / "second.sock"
    with started(
        "--bind", f"unix:{first}", "--bind", f"unix:{second}", HELLO, address=str(second)
    ) as server:
        assert (answers(first), answers(second)) == (200, 200)
        assert server.stop() == 0
    assert list(directory.iterdir()) == []


def test_an_inherited_unix_socket_is_served_and_its_path_kept(directory: Path) -> None:
    path = directory / "inherited.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(16)
    with running(bascule_command(), "hello", listener=listener) as server:
        assert answers(path) == 200
        assert server.stop() == 0
    assert path.exists()
