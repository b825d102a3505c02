"""``wsgi.file_wrapper`` (PEP 3333, "Optional Platform-Specific File Handling").

"the semantics of returning a file wrapper from the application should be the same as if the
application had returned iter(filelike.read, '')": the kernel sends a file only where that is
certain to be the same, and every other object is read.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from typing import IO, Any, Final

BLOCK_SIZE: Final = 64 * 1024

# What a wrapper has where its file has it: middleware that answers a range seeks then, where it
# would read all that comes before.
_OF_THE_FILE: Final = frozenset({"seek", "seekable", "tell"})
# Attributes that a file may have been given without any change of what it reads: Django sets
# ``close``, and ``open`` the name.
_HARMLESS: Final = frozenset({"close", "name"})


class FileRange:
    """Bytes of an open file: ``count`` from ``offset`` on."""

    __slots__ = ("count", "descriptor", "offset")

    def __init__(self, descriptor: int, offset: int, count: int) -> None:
        self.descriptor = descriptor
        self.offset = offset
        self.count = count


class FileWrapper:
    """An iterator over a file-like object, which the server may send without reading it.

    It has ``seek``, ``seekable`` and ``tell`` where the object has them.

    Args:
        filelike: an object with ``read(size)``; its ``close()`` is called with the wrapper's.
        block_size: bytes a read, where it has to be read.
    """

    def __init__(self, filelike: IO[bytes], block_size: int = BLOCK_SIZE) -> None:
        self.filelike = filelike
        self.block_size = block_size

    def __getattr__(self, name: str) -> Any:
        if name in _OF_THE_FILE:
            return getattr(self.filelike, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if block := self.filelike.read(self.block_size):
            return block
        raise StopIteration

    def close(self) -> None:
        close = getattr(self.filelike, "close", None)
        if close is not None:
            close()

    def file_range(self) -> FileRange | None:
        """Return what the kernel can send by itself, or None where the file must be read.

        Only the standard library's own classes over a regular file qualify: an object that has a
        ``fileno()`` may still change what it reads, as ``gzip.GzipFile`` does.

        Raises:
            ValueError: as reading would, of a file that is closed.
        """
        filelike = self.filelike
        if type(self.block_size) is not int or self.block_size <= 0:
            return None  # read() gives such a size a meaning of its own
        buffered = type(filelike) in (io.BufferedReader, io.BufferedRandom)
        raw = getattr(filelike, "raw", None) if buffered else filelike
        if type(raw) is not io.FileIO or not _reads_as_its_class(filelike, raw):
            return None
        descriptor = raw.fileno()
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        offset = filelike.tell()
        if raw.tell() != offset:  # its buffer holds what was read earlier, or is yet to be written
            return None
        size = _true_size(descriptor)
        return None if size is None else FileRange(descriptor, offset, max(0, size - offset))


def _reads_as_its_class(*files: IO[bytes] | io.FileIO) -> bool:
    """Return whether no attribute of the files' own changes how they are read."""
    return all(vars(each).keys() <= _HARMLESS for each in files)


def _true_size(descriptor: int) -> int | None:
    """Return a regular file's size in bytes; None where its status may lie.

    Of files in ``/proc`` it says 0 (proc(5)), of those in sysfs 4096, whatever there is to read. So
    a size counts where the file ends just there.
    """
    size = os.fstat(descriptor).st_size
    try:
        ends_there = len(os.pread(descriptor, 2, size - 1)) == 1
    except OSError:  # the size is 0, the file is open for writing only or with O_DIRECT
        return None
    return size if ends_there else None
