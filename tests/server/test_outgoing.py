"""Outgoing bytes: what a client does not take is kept, in order, and never sent twice."""

from __future__ import annotations

import contextlib
import socket
import struct
import tempfile
import tracemalloc
from collections.abc import Iterator

import pytest
from bascule.engine.outgoing import Outgoing
from bascule.errors import ClientDisconnected
from bascule.wsgi.file_wrapper import FileRange
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.ports import listen

MEBIBYTE = 1 << 20


class Pair:
    """What is put at one end, and a client at the other."""

    def __init__(self) -> None:
        ours, self.client = socket.socketpair()
        ours.setblocking(False)
        self.client.setblocking(False)
        self.sock = ours
        self.outgoing = Outgoing(ours)

    def take(self) -> bytes:
        """Read all that there is, at the client's end."""
        parts = []
        while True:
            try:
                part = self.client.recv(MEBIBYTE)
            except BlockingIOError:
                return b"".join(parts)
            if not part:
                return b"".join(parts)
            parts.append(part)

    def take_all(self) -> bytes:
        """Read, and have the rest sent, until nothing is left."""
        parts = [self.take()]
        while self.outgoing.pending:
            self.outgoing.flush()
            parts.append(self.take())
        return b"".join(parts)

    def close(self) -> None:
        self.outgoing.drop()
        self.sock.close()
        self.client.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.close()


def fill(pair: Pair) -> int:
    """Leave no room in the socket; return how many bytes that took."""
    filled = 0
    while True:
        try:
            filled += pair.sock.send(b"." * 4096)
        except BlockingIOError:
            return filled


blocks = st.sampled_from([0, 1, 100, 70_000, 300_000, 700_000])


@given(sizes=st.lists(st.tuples(blocks, st.none() | blocks), min_size=1, max_size=4))
def test_what_the_client_takes_is_what_was_put(sizes: list[tuple[int, int | None]]) -> None:
    pair = Pair()
    expected = received = b""
    for size, more_size in sizes:
        data = b"d" * size
        more = None if more_size is None else b"m" * more_size
        pair.outgoing.put(data, more)
        expected += data + (more or b"")
        received += pair.take_all()
    assert received == expected
    assert pair.outgoing.sent == len(expected)
    pair.close()


@pytest.mark.parametrize("more", [None, b"body" * 1000])
def test_all_parts_wait_whole_where_the_client_takes_nothing(
    pair: Pair, more: bytes | None
) -> None:
    filled = fill(pair)
    pair.outgoing.put(b"head", more)
    assert pair.outgoing.pending
    assert pair.outgoing.sent == 0
    assert pair.take_all()[filled:] == b"head" + (more or b"")


def test_a_file_waits_whole_where_the_client_takes_nothing(pair: Pair) -> None:
    filled = fill(pair)
    with tempfile.TemporaryFile() as file:
        file.write(b"body")
        file.flush()
        pair.outgoing.put(b"head", FileRange(file.fileno(), 0, 4))
    assert pair.outgoing.pending
    assert pair.outgoing.sent == 0
    assert pair.take_all()[filled:] == b"headbody"


def test_what_is_dropped_is_not_sent(pair: Pair) -> None:
    filled = fill(pair)
    with tempfile.TemporaryFile() as file:
        file.write(b"body")
        file.flush()
        pair.outgoing.put(b"head", FileRange(file.fileno(), 0, 4))
    pair.outgoing.drop()
    assert not pair.outgoing.pending
    assert len(pair.take_all()) == filled
    pair.outgoing.flush()
    assert pair.take() == b""


def test_a_socket_that_is_taken_away_still_waits_for_nobody_and_is_said_nothing(
    pair: Pair,
) -> None:
    with pair.outgoing.detach() as sock:
        assert not sock.getblocking()
        with pytest.raises(ClientDisconnected):
            pair.outgoing.put(b"data")
        assert pair.take() == b""


def test_a_large_second_part_is_kept_without_a_copy(pair: Pair) -> None:
    body = bytes(16 * MEBIBYTE)
    tracemalloc.start()
    try:
        pair.outgoing.put(b"head", body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MEBIBYTE
    assert pair.take_all() == b"head" + body


def test_a_file_follows_its_head_and_may_be_closed_at_once(pair: Pair) -> None:
    content = bytes(range(256)) * 8192  # 2 MiB
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        pair.outgoing.put(b"head", FileRange(file.fileno(), 256, len(content) - 512))
    assert pair.take_all() == b"head" + content[256:-256]


def segments_sent(sock: socket.socket) -> int:
    """Return how many segments with data TCP has sent (``tcpi_data_segs_out``, linux/tcp.h)."""
    (sent,) = struct.unpack_from(
        "I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), 156
    )
    return int(sent)


def test_a_head_leaves_with_the_beginning_of_its_file() -> None:
    with listen() as server:
        client = socket.create_connection(server.getsockname())
        ours, _ = server.accept()
    with client, ours, tempfile.TemporaryFile() as file:
        file.write(b"body")
        file.flush()
        ours.setblocking(False)
        ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        Outgoing(ours).put(b"head", FileRange(file.fileno(), 0, 4))
        assert client.recv(8, socket.MSG_WAITALL) == b"headbody"
        assert segments_sent(ours) == 1


@pytest.mark.parametrize("more", [None, b"more"])
def test_a_client_that_has_gone_is_reported(pair: Pair, more: bytes | None) -> None:
    pair.client.close()
    with pytest.raises(ClientDisconnected):
        pair.outgoing.put(b"data", more)
    assert pair.outgoing.lost


def test_a_large_file_fills_segments_and_what_follows_it_is_sent_at_once() -> None:
    with listen() as server:
        client = socket.create_connection(server.getsockname())
        ours, _ = server.accept()
    with client, ours, tempfile.TemporaryFile() as file:
        ours.setblocking(False)
        client.setblocking(False)
        file.truncate(16 * MEBIBYTE)
        outgoing = Outgoing(ours)
        outgoing.put(b"head", FileRange(file.fileno(), 0, 16 * MEBIBYTE))
        assert outgoing.pending
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK)
        while outgoing.pending:
            with contextlib.suppress(BlockingIOError):
                client.recv(MEBIBYTE)
            outgoing.flush()
        assert not ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK)


def test_a_file_that_became_shorter_is_reported(pair: Pair) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"short")
        file.flush()
        pair.outgoing.put(b"head", FileRange(file.fileno(), 0, 5))
        assert pair.take_all() == b"headshort"
        pair.outgoing.put(b"head", FileRange(file.fileno(), 0, 10))
        with pytest.raises(ClientDisconnected):
            pair.take_all()
    assert pair.outgoing.lost
    assert pair.outgoing.missing == 5
