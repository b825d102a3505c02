"""The file that a body is kept in, which tells when it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from tempfile import SpooledTemporaryFile
from typing import Any


class Spool(SpooledTemporaryFile[bytes]):
    """A temporary file, in memory while it is small.

    Attributes:
        on_read: called whenever a piece is read; None for nothing.
    """

    on_read: Callable[[], None] | None = None

    def _tell(self) -> None:
        if self.on_read is not None:
            self.on_read()

    def read(self, *size: Any) -> bytes:
        self._tell()
        return super().read(*size)

    def read1(self, *size: Any) -> bytes:
        self._tell()
        return super().read1(*size)

    def readinto(self, buffer: Any) -> int:
        self._tell()
        return super().readinto(buffer)

    def readinto1(self, buffer: Any) -> int:
        self._tell()
        return super().readinto1(buffer)

    def readline(self, *size: Any) -> bytes:
        self._tell()
        return super().readline(*size)

    def readlines(self, *hint: Any) -> list[bytes]:
        self._tell()
        return super().readlines(*hint)

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line
