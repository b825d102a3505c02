"""A slow client costs no thread and no memory: with few threads, others are served meanwhile."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.applications import big
from tests.harness.client import Client
from tests.harness.servers import ServerProcess, bascule_command, running
from tests.harness.waiting import wait_until

from .requests import get, head, post

MEBIBYTE = 1 << 20


def resident(server: ServerProcess) -> int:
    """Return the bytes of memory that the server's process holds (VmRSS)."""
    status = Path(f"/proc/{server.pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def spooled(server: ServerProcess) -> list[int]:
    """Return the sizes of the files without a name that the server's process has open.

    Those that it writes its logs to have none either.
    """
    descriptors = Path(f"/proc/{server.pid}/fd")
    logs = [(descriptors / number).stat() for number in ("1", "2")]
    sizes = []
    for descriptor in descriptors.iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found = descriptor.stat()
            is_log = any(os.path.samestat(found, each) for each in logs)
            if descriptor.readlink().name.endswith(" (deleted)") and not is_log:
                sizes.append(found.st_size)
    return sizes


def begin(server: ServerProcess, target: str) -> Client:
    """Ask for something large, read the first bytes of the answer, then no more for now."""
    client = server.client(receive_buffer=4096)
    client.send(get(target))
    assert client.socket.recv(12) == b"HTTP/1.1 200"
    return client


def finish(client: Client) -> str:
    """Read the rest of a response that `begin` began; return the hash of its body."""
    client.end_sending()
    data = bytearray()
    while block := client.socket.recv(MEBIBYTE):
        data += block
    return hashlib.sha256(data.partition(b"\r\n\r\n")[2]).hexdigest()


WHOLE = hashlib.sha256(big.BLOCK * big.BLOCKS).hexdigest()


def test_a_trickled_upload_holds_no_thread() -> None:
    with running(bascule_command("--threads", "1"), "echo") as server, server.client() as slow:
        slow.send(head("POST", "/sized", "Content-Length: 8"))
        for byte in b"trickle":
            slow.send(bytes([byte]))
            with server.client() as other:
                assert other.request(get()).status == 200
        assert slow.request(b"d", method="POST").body == b"trickle,d"


def test_a_trickled_chunked_upload_holds_no_thread() -> None:
    with running(bascule_command("--threads", "1"), "echo") as server, server.client() as slow:
        slow.send(head("POST", "/sized", "Transfer-Encoding: chunked"))
        for byte in b"4\r\nbody\r\n0\r\n\r":
            slow.send(bytes([byte]))
            with server.client() as other:
                assert other.request(get()).status == 200
        assert slow.request(b"\n", method="POST").body == b"body"


@pytest.mark.parametrize(
    "parts",
    [
        (b"GET /slow HTTP/1.1\r\n", b"Host: localhost\r\n\r\n"),
        (b"POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nb", b"y"),
    ],
)
@pytest.mark.parametrize("is_known", [True, False])
def test_whoever_sends_all_at_once_goes_before_many_who_do_not(
    parts: tuple[bytes, bytes], is_known: bool
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(running(bascule_command("--threads", "1"), "hello"))
        known, new = (stack.enter_context(server.client()) for _ in range(2))
        slow = [stack.enter_context(server.client()) for _ in range(200)]
        for each in slow:
            each.send(parts[0])
        for _ in range(20):
            assert known.request(get("/before")).status == 200
        usual = known if is_known else new  # whose first request it is
        server.signal(signal.SIGSTOP)
        for each in slow:
            each.send(parts[1])
        usual.send(get("/usual"))
        server.signal(signal.SIGCONT)
        assert usual.read_final().status == 200
        for each in slow:
            assert each.read_final().status == 200
        for each in (known, new, *slow):
            each.close()
        assert server.stop() == 0
        served = [line for line in server.out.splitlines() if "/slow" in line or "/usual" in line]
    assert len(served) == 201
    # A few of them had their turn, where the process had read their events before it was stopped.
    assert "/usual" in "".join(served[:100])


@pytest.mark.parametrize("path", ["/list", "/length", "/file"])
def test_a_slow_reader_of_a_whole_response_holds_no_thread(path: str) -> None:
    with running(bascule_command("--threads", "1"), "big") as server, begin(server, path) as slow:
        for _ in range(3):
            with server.client() as other:
                assert other.request(head("HEAD", "/length"), method="HEAD").status == 200
        assert finish(slow) == WHOLE


@pytest.mark.parametrize("path", ["/generator", "/write"])
def test_a_slow_reader_of_a_stream_holds_its_own_thread_only(path: str) -> None:
    with running(bascule_command("--threads", "2"), "big") as server, begin(server, path):
        for _ in range(3):
            with server.client() as other:
                assert other.request(get("/length")).complete


def test_a_slow_reader_of_a_stream_gets_all_of_it() -> None:
    with (
        running(bascule_command("--threads", "2"), "big") as server,
        begin(server, "/generator") as slow,
        server.client() as other,
    ):
        whole = other.request(get("/generator")).body
        assert hashlib.sha256(whole).hexdigest() == WHOLE
        slow.end_sending()
        rest = 0
        while block := slow.socket.recv(MEBIBYTE):
            rest += len(block)
        assert rest > big.SIZE


def test_where_one_thread_is_all_it_waits_for_a_slow_reader_of_a_stream() -> None:
    with running(bascule_command("--threads", "1"), "big") as server:
        with server.client(receive_buffer=4096) as slow:
            body = slow.request(get("/generator")).body
        assert hashlib.sha256(body).hexdigest() == WHOLE
        with server.client() as other:
            assert other.request(get("/length")).complete


def test_clients_that_send_nothing_hold_no_thread() -> None:
    with running(bascule_command("--threads", "1"), "hello") as server:
        silent = [server.client() for _ in range(200)]
        with server.client() as other:
            assert other.request(get()).status == 200
        for client in silent:
            client.close()


def test_a_large_upload_is_spooled_to_a_file() -> None:
    size = 64 * MEBIBYTE
    with running(bascule_command(), "echo") as server, server.client() as client:
        before = resident(server)
        client.send(head("POST", "/ignore", f"Content-Length: {size}"))
        block = b"u" * MEBIBYTE
        for _ in range(63):
            client.send(block)
        client.send(block[:-1])
        wait_until(lambda: sum(spooled(server)) >= 63 * MEBIBYTE, "the body is in a file")
        assert resident(server) - before < 16 * MEBIBYTE
        assert client.request(b"u", method="POST").body == b"ignored"
        wait_until(lambda: not spooled(server), "the file is gone")


def test_a_small_upload_is_not_spooled() -> None:
    with running(bascule_command(), "echo") as server, server.client() as client:
        client.send(head("POST", "/sized", f"Content-Length: {MEBIBYTE // 2}"))
        client.send(b"u" * (MEBIBYTE // 2 - 1))
        with server.client() as other:
            assert other.request(get()).status == 200
        assert spooled(server) == []


def test_a_client_that_leaves_amid_its_upload_leaves_no_file() -> None:
    with running(bascule_command(), "echo") as server:
        client = server.client()
        client.send(head("POST", "/sized", f"Content-Length: {8 * MEBIBYTE}"))
        client.send(b"u" * (4 * MEBIBYTE))
        wait_until(lambda: spooled(server), "the body is in a file")
        client.reset()
        wait_until(lambda: not spooled(server), "the file is gone")


def test_pipelined_requests_for_large_responses_do_not_fill_the_memory() -> None:
    with running(bascule_command("--threads", "2"), "big") as server:
        before = resident(server)
        with server.client(receive_buffer=4096) as greedy:
            greedy.send(get("/length") * 50)  # 400 MiB of answers that nobody reads
            assert greedy.socket.recv(12) == b"HTTP/1.1 200"
            with server.client() as other:
                assert other.request(head("HEAD", "/length"), method="HEAD").status == 200
            assert resident(server) - before < 64 * MEBIBYTE


def test_100_continue_is_sent_before_the_body_is_there() -> None:
    with running(bascule_command(), "echo") as server, server.client() as client:
        client.send(head("POST", "/sized", "Content-Length: 4", "Expect: 100-continue"))
        interim = client.read()
        assert (interim.status, interim.reason, interim.fields) == (100, "Continue", ())
        assert client.request(b"body", method="POST").body == b"body"
        assert client.request(post("/sized", b"next")).body == b"next"


def test_a_body_over_the_limit_is_refused_before_100_continue() -> None:
    command = bascule_command("--limit-request-body", "1000")
    with running(command, "echo") as server, server.client() as client:
        client.send(head("POST", "/sized", "Content-Length: 1001", "Expect: 100-continue"))
        response = client.read()
        assert response.status == 413
        assert response.says_close


def test_a_chunked_body_over_the_limit_is_refused_where_it_passes_it() -> None:
    command = bascule_command("--limit-request-body", "1000")
    with running(command, "echo") as server, server.client() as client:
        client.send(head("POST", "/sized", "Transfer-Encoding: chunked"))
        client.send(b"3e8\r\n" + b"x" * 1000 + b"\r\n1\r\nx\r\n")
        assert client.read_final().status == 413
        client.read_ending()


def test_a_refused_upload_that_goes_on_does_not_lose_the_answer() -> None:
    """The client reads only after it has sent everything: the 413 must still be there."""
    command = bascule_command("--limit-request-body", "1000")
    with running(command, "echo") as server, server.client() as client:
        client.send(post("/sized", b"x" * (2 * MEBIBYTE)))
        assert client.read_final().status == 413


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("size", [4095, 4096, 4097, 16384])
def test_a_first_request_of_any_size_is_answered(size: int, is_late: bool) -> None:
    request = get("/", f"Cookie: {'c' * (size - len(get('/', 'Cookie: ')))}")
    assert len(request) == size
    command = bascule_command("--limit-request-field_size", "20000")
    with running(command, "hello") as server, server.client() as client, server.client() as other:
        if is_late:
            assert other.request(get()).status == 200  # so the first one is accepted by now
        assert [client.request(request).status for _ in range(3)] == [200] * 3
