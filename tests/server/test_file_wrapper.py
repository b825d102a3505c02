"""wsgi.file_wrapper: what the kernel may send by itself, and what must be read."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import pytest
from bascule.wsgi.file_wrapper import BLOCK_SIZE, FileWrapper

CONTENT = b"0123456789" * 10


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_bytes(CONTENT)
    return file


@pytest.fixture
def cleanup() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("offset", [0, 1, 99, 100])
@pytest.mark.parametrize("buffering", [-1, 0])
@pytest.mark.parametrize("mode", ["rb", "r+b"])
def test_a_regular_file_is_a_range_from_where_it_stands(
    path: Path, mode: str, buffering: int, offset: int
) -> None:
    with path.open(mode, buffering) as file:
        file.seek(offset)
        found = FileWrapper(file).file_range()
        assert found is not None
        assert (found.descriptor, found.offset, found.count) == (
            file.fileno(),
            offset,
            len(CONTENT) - offset,
        )


def test_a_temporary_file_is_a_range_too() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(CONTENT)
        file.seek(4)
        found = FileWrapper(file).file_range()
        assert found is not None
        assert os.pread(found.descriptor, found.count, found.offset) == CONTENT[4:]


@pytest.mark.parametrize(
    ("block_size", "is_range"), [(1, True), (0, False), (-1, False), (4.0, False), (True, False)]
)
def test_a_block_size_that_read_takes_for_something_else_is_read(
    path: Path, block_size: Any, is_range: bool
) -> None:
    with path.open("rb") as file:
        assert (FileWrapper(file, block_size).file_range() is not None) is is_range


def test_a_file_that_was_given_a_name_and_a_close_of_its_own_is_a_range(path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        close = file.close
        file.name, file.close = "renamed", close  # type: ignore[method-assign]
        assert FileWrapper(file).file_range() is not None


def test_a_file_that_stands_past_its_end_has_nothing_to_send(path: Path) -> None:
    with path.open("rb") as file:
        file.seek(1000)
        found = FileWrapper(file).file_range()
        assert found is not None
        assert found.count == 0


class Shouting(io.FileIO):
    """A file that changes what it reads."""

    def read(self, size: int | None = -1, /) -> bytes:
        return (super().read(size) or b"").upper()


def gzipped(path: Path) -> IO[bytes]:
    with gzip.open(path, "wb") as file:
        file.write(CONTENT)
    return gzip.open(path)


def bzipped(path: Path) -> IO[bytes]:
    with bz2.open(path, "wb") as file:
        file.write(CONTENT)
    return bz2.open(path)


OTHERS: dict[str, Callable[[Path], Any]] = {
    "gzip": gzipped,
    "gzip, buffered": lambda path: io.BufferedReader(gzipped(path)),  # type: ignore[arg-type]
    "bz2": bzipped,
    "BytesIO": lambda path: io.BytesIO(CONTENT),
    "subclass of FileIO": Shouting,
    "subclass of FileIO, buffered": lambda path: io.BufferedReader(Shouting(path)),
    "SpooledTemporaryFile": lambda path: tempfile.SpooledTemporaryFile(),  # noqa: SIM115
    "NamedTemporaryFile": lambda path: tempfile.NamedTemporaryFile(),  # noqa: SIM115
}


@pytest.mark.parametrize("kind", OTHERS)
def test_whatever_may_change_what_it_reads_is_read(
    path: Path, kind: str, cleanup: ExitStack
) -> None:
    file = cleanup.enter_context(OTHERS[kind](path))
    expected = file.read()
    file.seek(0)
    wrapper = FileWrapper(file, 7)
    found = wrapper.file_range()
    if kind != "NamedTemporaryFile":  # which could be either
        assert found is None
    assert b"".join(wrapper) == expected


def test_a_pipe_is_read(cleanup: ExitStack) -> None:
    reader, writer = os.pipe()
    file = cleanup.enter_context(os.fdopen(reader, "rb"))
    os.write(writer, CONTENT)
    os.close(writer)
    assert FileWrapper(file).file_range() is None
    assert b"".join(FileWrapper(file)) == CONTENT


def test_a_socket_is_read(cleanup: ExitStack) -> None:
    ours, theirs = socket.socketpair()
    cleanup.enter_context(ours)
    theirs.sendall(CONTENT)
    theirs.close()
    file = cleanup.enter_context(ours.makefile("rb"))
    assert FileWrapper(file).file_range() is None
    assert b"".join(FileWrapper(file)) == CONTENT


def test_a_device_is_read() -> None:
    with Path("/dev/zero").open("rb") as file:
        assert FileWrapper(file).file_range() is None


class Counting(io.BytesIO):
    """Notes how much is asked for."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.asked: list[int | None] = []

    def read(self, size: int | None = -1, /) -> bytes:
        self.asked.append(size)
        return super().read(size)


def test_it_reads_in_blocks_of_the_size_that_was_asked_for() -> None:
    file = Counting(b"0123456789")
    assert list(FileWrapper(file, 4)) == [b"0123", b"4567", b"89"]
    assert set(file.asked) == {4}


def test_it_has_a_block_size_of_its_own() -> None:
    file = Counting(b"x" * 3 * BLOCK_SIZE)
    assert list(FileWrapper(file)) == [b"x" * BLOCK_SIZE] * 3
    assert set(file.asked) == {BLOCK_SIZE}


def test_closing_it_closes_the_file() -> None:
    file = io.BytesIO(b"")
    FileWrapper(file).close()
    assert file.closed


def test_an_object_that_can_only_read_is_enough() -> None:
    class Minimal:
        blocks = [b"a", b"b", b""]  # noqa: RUF012

        def read(self, size: int) -> bytes:
            return self.blocks.pop(0)

    wrapper = FileWrapper(Minimal())  # type: ignore[arg-type]
    assert wrapper.file_range() is None
    assert list(wrapper) == [b"a", b"b"]
    wrapper.close()
