"""``wsgi.file_wrapper`` (PEP 3333, "Optional Platform-Specific File Handling")."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from typing import IO, Final

BLOCK_SIZE: Final = 64 * 1024


class FileRange:
    """Bytes of an open file: ``count`` from ``offset`` on."""

    __slots__ = ("count", "descriptor", "offset")

    def __init__(self, descriptor: int, offset: int, count: int) -> None:
        self.descriptor = descriptor
        self.offset = offset
        self.count = count


class FileWrapper:
    """An iterable over a file-like object, which the server may send without reading it.

    Args:
        filelike: an object with ``read(size)``; its ``close()`` is called with the wrapper's.
        block_size: bytes a read, where it has to be read.
    """

    def __init__(self, filelike: IO[bytes], block_size: int = BLOCK_SIZE) -> None:
        self.filelike = filelike
        self.block_size = block_size

    def __iter__(self) -> Iterator[bytes]:
        while block := self.filelike.read(self.block_size):
            yield block

    def close(self) -> None:
        close = getattr(self.filelike, "close", None)
        if close is not None:
            close()

    def file_range(self) -> FileRange | None:
        """Return what the kernel can send by itself, or None where the file must be read.

        Only the standard library's own classes over a regular file qualify: an object that has a
        ``fileno()`` may still change what it reads, as ``gzip.GzipFile`` does.
        """
        filelike = self.filelike
        buffered = type(filelike) in (io.BufferedReader, io.BufferedRandom)
        if type(getattr(filelike, "raw", None) if buffered else filelike) is not io.FileIO:
            return None
        status = os.fstat(filelike.fileno())
        if not stat.S_ISREG(status.st_mode):
            return None
        offset = filelike.tell()
        return FileRange(filelike.fileno(), offset, max(0, status.st_size - offset))
