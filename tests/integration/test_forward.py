"""The link `forward` with real servers on both sides of it, and real failures of them."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from http.client import IncompleteRead
from pathlib import Path

import pytest
from bascule_middleware.chain import SHORT_NAMES

from tests.applications.upstream import BLOCK
from tests.harness.fetch import NO_RESPONSE, ask, connect, fetch
from tests.harness.ports import listen
from tests.harness.servers import (
    ServerProcess,
    bascule_command,
    gunicorn_command,
    running,
    scratch,
    started,
)
from tests.harness.waiting import wait_until

from .gate import Gate

MEBIBYTE = 1 << 20
SIZE = 200  # MiB
MOST_GROWTH = 8 * MEBIBYTE
BASCULE = bascule_command("--access-logfile", "off")
BROKEN_OFF = (IncompleteRead, ConnectionResetError)
UPSTREAM = "tests.applications.upstream:application"

# Every link that there is, forward innermost.
CHAIN = """
application = "{application}"

[[links]]
use = "request_id"

[[links]]
use = "exceptions"

[[links]]
use = "proxy_headers"

[[links]]
use = "allowlist"
rules = ["deny 203.0.113.0/24"]

[[links]]
use = "ratelimit"
limits = ["1000000/second"]

[[links]]
use = "xslt"
stylesheets = "."

[[links]]
use = "dispatch"
[links.mounts]
"/hello" = "app.hello:application"

[[links]]
use = "forward"
path = "/forward"
upstreams = {upstreams}
{settings}
"""


@contextlib.contextmanager
def upstream(path: Path, application: str = UPSTREAM, **env: str) -> Iterator[ServerProcess]:
    """Run a server at a unix socket."""
    with started("--bind", f"unix:{path}", application, address=str(path), env=env) as server:
        yield server


@contextlib.contextmanager
def gateway(
    upstreams: Sequence[Path | str],
    *,
    application: str = UPSTREAM,
    settings: str = "",
    command: Sequence[str] = BASCULE,
    listener: socket.socket | None = None,
) -> Iterator[ServerProcess]:
    """Run a server with the whole chain and `forward` as its last link."""
    names = json.dumps([f"unix:{each}" if isinstance(each, Path) else each for each in upstreams])
    with scratch() as directory:
        chain = directory / "chain.toml"
        text = CHAIN.format(application=application, upstreams=names, settings=settings)
        chain.write_text(text)
        env = {"BASCULE_CHAIN": str(chain), "RUN_DIR": str(directory)}
        with running(
            command, "bascule_middleware.wsgi:application", env=env, listener=listener
        ) as server:
            yield server


@pytest.fixture
def directory() -> Iterator[Path]:
    with scratch() as path:
        yield path


def get(server: ServerProcess, target: str) -> tuple[int, bytes]:
    reply = fetch(server.address, target, limit=20)
    return reply.status, reply.body


class Load:
    """GETs from several clients at a time, while the `with` block runs.

    Attributes:
        answered: how many requests each upstream's process answered.
        failed: what went wrong.
    """

    def __init__(self, server: ServerProcess, target: str) -> None:
        self._server = server
        self._target = target
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(6)]
        self.answered: Counter[int] = Counter()
        self.failed: list[str] = []

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def wait_for_requests(self, count: int) -> None:
        """Return when so many more have been answered."""
        enough = self.answered.total() + count
        wait_until(lambda: self.answered.total() >= enough, "requests under load", limit=30)

    def wait_for_process(self, pid: int) -> None:
        """Return when this process has answered."""
        wait_until(lambda: self.answered[pid], "an answer of a process", limit=30)

    def _run(self) -> None:
        with contextlib.closing(connect(self._server.address, limit=20)) as connection:
            while not self._over.is_set():
                try:
                    reply = ask(connection, self._target)
                except NO_RESPONSE as error:
                    self.failed.append(repr(error))
                    connection.close()
                    continue
                if reply.status == 200:
                    self.answered[int(reply.body)] += 1
                else:
                    self.failed.append(f"{reply.status} {reply.body[:100]!r}")


@pytest.mark.parametrize("balance", ["round-robin", "least-outstanding", "two-choices", "hash"])
def test_no_get_fails_when_an_upstream_is_killed_and_it_comes_back_by_itself(
    balance: str, directory: Path
) -> None:
    paths = [directory / name for name in ("a", "b", "c")]
    with contextlib.ExitStack() as stack:
        servers = {each.pid: each for each in (stack.enter_context(upstream(p)) for p in paths)}
        server = stack.enter_context(gateway(paths, settings=f'balance = "{balance}"'))
        load = stack.enter_context(Load(server, "/forward/pid"))
        load.wait_for_requests(100)
        if balance != "hash":  # by which all requests, of one client's address, go to one
            assert set(load.answered) == set(servers)
        victim = servers[load.answered.most_common(1)[0][0]]
        victim.signal(signal.SIGKILL)
        load.wait_for_requests(300)
        again = stack.enter_context(upstream(Path(str(victim.address))))
        load.wait_for_process(again.pid)
        load.wait_for_requests(100)
    assert load.failed == []


def test_no_get_fails_while_upstreams_are_restarted_one_by_one(directory: Path) -> None:
    paths = [directory / name for name in ("a", "b")]
    with contextlib.ExitStack() as stack:
        first = {path: stack.enter_context(upstream(path)) for path in paths}
        server = stack.enter_context(gateway(paths))
        with Load(server, "/forward/pid") as load:
            for path, old in first.items():
                load.wait_for_process(old.pid)
                new = stack.enter_context(upstream(path))  # takes the socket over
                old.stop()
                load.wait_for_process(new.pid)
    assert load.failed == []


def memory(server: ServerProcess) -> int:
    """Return the bytes that are this process's own: private pages, and its share of shared ones."""
    rollup = Path(f"/proc/{server.pid}/smaps_rollup").read_text(encoding="ascii")
    sizes = {line.split(":")[0]: line.split()[1] for line in rollup.splitlines()[1:]}
    return int(sizes["Pss"]) * 1024


def growth_while_receiving(server: ServerProcess, target: str) -> tuple[int, int]:
    """Return how many bytes came, and by how much the process grew meanwhile at most."""
    connection = connect(server.address, limit=20)
    connection.request("GET", target)
    response = connection.getresponse()
    before = most = memory(server)
    received = 0
    while data := response.read1(MEBIBYTE):
        assert BLOCK.startswith(data[:16], received % 16)
        step = received // (10 * MEBIBYTE)
        received += len(data)
        if received // (10 * MEBIBYTE) > step:
            most = max(most, memory(server))
    connection.close()
    return received, most - before


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("where", ["", "/forward"], ids=["the chain", "the chain and forward"])
def test_a_large_response_takes_no_memory(where: str, framing: str, directory: Path) -> None:
    with upstream(directory / "a"), gateway([directory / "a"]) as server:
        assert get(server, f"{where}/{framing}/1")[0] == 200  # all that is loaded late is loaded
        received, growth = growth_while_receiving(server, f"{where}/{framing}/{SIZE}")
    assert received == SIZE * MEBIBYTE
    assert growth < MOST_GROWTH


def test_a_large_request_takes_no_memory(directory: Path) -> None:
    with upstream(directory / "a"), gateway([directory / "a"]) as server:
        connection = connect(server.address, limit=60)
        growths = []
        for count in (SIZE // 100, SIZE):
            before = memory(server)
            connection.putrequest("POST", "/forward/swallow")
            connection.putheader("Content-Length", str(count * MEBIBYTE))
            connection.endheaders()
            most = before
            for _ in range(count):
                connection.send(bytes(MEBIBYTE))
                most = max(most, memory(server))
            response = connection.getresponse()
            growths.append(max(most, memory(server)) - before)
            assert response.read() == str(count * MEBIBYTE).encode()
        connection.close()
    assert growths[1] < MOST_GROWTH


def test_the_first_byte_arrives_before_the_last_is_produced(directory: Path) -> None:
    gated = "tests.applications.mounted_gate:application"
    with (
        Gate(directory) as gate,
        upstream(directory / "a", gated, **gate.env),
        gateway([directory / "a"]) as server,
    ):
        connection = connect(server.address, limit=20)
        connection.request("GET", "/forward/stream")
        response = connection.getresponse()
        assert response.read1(100) == b"before\n"
        gate.visit().release()
        assert response.read() == b"after\n"
        connection.close()


def test_a_client_that_goes_ends_the_upstreams_response(directory: Path) -> None:
    gated = "tests.applications.mounted_gate:application"
    with (
        Gate(directory) as gate,
        upstream(directory / "a", gated, **gate.env),
        gateway([directory / "a"]) as server,
    ):
        with server.client() as client:
            client.send(b"GET /forward/endless HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.socket.recv(12) == b"HTTP/1.1 200"
            client.reset()
        visit = gate.visit()
        assert visit.name == "closed"
        visit.release()


def test_a_response_that_breaks_off_breaks_off_for_the_client(directory: Path) -> None:
    with upstream(directory / "a") as server_behind, gateway([directory / "a"]) as server:
        connection = connect(server.address, limit=20)
        connection.request("GET", f"/forward/length/{SIZE}")
        response = connection.getresponse()
        response.read(MEBIBYTE)
        server_behind.signal(signal.SIGKILL)
        with pytest.raises(BROKEN_OFF):
            response.read()
        connection.close()
        wait_until(lambda: "failed: IncompleteRead" in server.err + server.out, "the log line")


def test_nothing_listens_to_what_the_target_says(directory: Path) -> None:
    with listen() as evil, upstream(directory / "a") as behind:
        host = f"127.0.0.1:{evil.getsockname()[1]}".encode()
        with gateway([directory / "a"]) as server:
            for target in (
                b"http://" + host + b"/forward/pid",
                b"/forward//" + host + b"/pid",
                b"/forward/@" + host + b"/pid",
                b"/forward/pid?http://" + host,
                b"/forward/%0d%0aHost:%20" + host,
            ):
                with server.client() as client:
                    asked = host if target.startswith(b"http") else b"a"
                    response = client.request(
                        b"GET " + target + b" HTTP/1.1\r\nHost: " + asked + b"\r\n\r\n"
                    )
                    assert (response.status, int(response.body)) == (200, behind.pid)
        evil.setblocking(False)
        with pytest.raises(BlockingIOError):
            evil.accept()


def test_a_gateway_to_itself_finds_the_loop() -> None:
    listener = listen()
    name = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with gateway([name], listener=listener) as server:
        assert get(server, "/forward/pid")[0] == 508
        assert get(server, "/pid")[0] == 200


def test_it_forwards_under_gunicorn_as_under_our_server(directory: Path) -> None:
    answers = []
    with upstream(directory / "a") as behind:
        for command in (BASCULE, gunicorn_command()):
            with gateway([directory / "a"], command=command) as server:
                connection = connect(server.address, limit=20)
                seen = []
                for method, target, body in (
                    ("GET", "/forward/pid", None),
                    ("HEAD", "/forward/pid", None),
                    ("POST", "/forward/swallow", b"x" * 100_000),
                    ("POST", "/forward/swallow", iter([b"in ", b"chunks"])),
                    ("GET", "/forward/chunked/1", None),
                    ("GET", "/forward/../pid", None),
                ):
                    reply = ask(connection, target, method, body)
                    if reply.status == 200:
                        via = reply.fields["Via"].split("-")[0]
                        seen.append((reply.status, via, reply.body))
                    else:  # the page names the request
                        seen.append((reply.status, "", b""))
                connection.close()
                answers.append(seen)
        pid = str(behind.pid).encode()
    ours, theirs = answers
    assert ours == theirs
    via = "1.1 bascule"
    assert ours[:4] == [(200, via, pid), (200, via, b""), (200, via, b"100000"), (200, via, b"9")]
    assert (len(ours[4][2]), ours[5][0]) == (MEBIBYTE, 400)


def test_the_chain_of_these_tests_has_every_link() -> None:
    assert set(re.findall(r'^use = "(\w+)"', CHAIN, re.MULTILINE)) == set(SHORT_NAMES)
