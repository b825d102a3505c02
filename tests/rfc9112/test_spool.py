"""The file that a body is kept in: whichever way it is read, it says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bascule.http.spool import Spool

CONTENT = b"one\ntwo\nthree"


def into(method: str) -> Callable[[Spool], bytes]:
    """Return what reads into a buffer of four bytes."""

    def read(spool: Spool) -> bytes:
        buffer = bytearray(4)
        return bytes(buffer[: getattr(spool, method)(buffer)])

    return read


WAYS: dict[str, tuple[Callable[[Spool], Any], Any]] = {
    "read": (lambda spool: spool.read(), CONTENT),
    "read a size": (lambda spool: spool.read(5), b"one\nt"),
    "read1": (lambda spool: spool.read1(5), b"one\nt"),
    "readinto": (into("readinto"), b"one\n"),
    "readinto1": (into("readinto1"), b"one\n"),
    "readline": (lambda spool: spool.readline(), b"one\n"),
    "readline of a size": (lambda spool: spool.readline(2), b"on"),
    "readlines": (lambda spool: spool.readlines(), [b"one\n", b"two\n", b"three"]),
    "readlines of a size": (lambda spool: spool.readlines(2), [b"one\n"]),
}


@pytest.mark.parametrize("max_size", [1000, 1])  # in memory, on the disk
@pytest.mark.parametrize("way", WAYS)
def test_each_way_of_reading_is_told_and_reads(way: str, max_size: int) -> None:
    read, expected = WAYS[way]
    told = []
    with Spool(max_size=max_size) as spool:
        spool.write(CONTENT)
        spool.seek(0)
        spool.on_read = lambda: told.append(way)
        assert read(spool) == expected
        assert told == [way]


def test_each_line_of_an_iteration_is_told() -> None:
    told = []
    with Spool(max_size=1000) as spool:
        spool.write(CONTENT)
        spool.seek(0)
        spool.on_read = lambda: told.append(spool.tell())
        assert list(spool) == [b"one\n", b"two\n", b"three"]
    assert told == [0, 4, 8, 13]


def test_nobody_need_be_told() -> None:
    with Spool(max_size=1000) as spool:
        spool.write(CONTENT)
        spool.seek(0)
        assert spool.read() == CONTENT
