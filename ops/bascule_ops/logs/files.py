"""Log files: the last lines, the lines since a time, and what is still being written.

What is asked for is looked for from the end, or by halves, so that the size of a file matters
little.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Final

from bascule_ops.logs import moments
from bascule_ops.logs.record import cleaned, time_of

# How long (seconds) a line may wait on its way, so that later ones come before it.
DISORDER: Final = 60.0
_BLOCK: Final = 65536  # bytes: less is not worth a seek
_PAUSE: Final = 0.2  # seconds between two looks at a file that is followed


@dataclass(frozen=True)
class Files:
    """Files that continue each other.

    Attributes:
        paths: oldest first; the last one may still be written to.
        pid: following ends with this process; 0: it does not end.
    """

    paths: tuple[Path, ...]
    pid: int = 0
    is_ordered = True

    def lines(self, since: str, last: int | None) -> Iterator[bytes]:
        with ExitStack() as stack:
            partial = b""
            for file in self._opened(stack, since, last):
                for line in file:
                    if partial or not line.endswith(b"\n"):
                        # A long line may go on in the next file.
                        partial += line
                        if partial.endswith(b"\n"):
                            yield cleaned(partial)
                            partial = b""
                    else:
                        yield cleaned(line)
            if partial:
                yield cleaned(partial)

    def follow(self, last: int | None) -> Iterator[bytes]:
        with ExitStack() as stack:
            file: BinaryIO
            *older, file = self._opened(stack, "", last)
            for each in older:
                yield from map(cleaned, each)
            partial = b""
            while True:
                # Both before reading: what was written until then is read.
                is_over = bool(self.pid) and not Path(f"/proc/{self.pid}").exists()
                is_complete = _is_replaced(self.paths[-1], file)
                for line in file:
                    partial += line
                    if partial.endswith(b"\n"):
                        yield cleaned(partial)
                        partial = b""
                if is_complete:
                    file = stack.enter_context(_next(self.paths[-1], file).open("rb"))
                elif is_over:
                    return
                else:
                    time.sleep(_PAUSE)

    def _opened(self, stack: ExitStack, since: str, last: int | None) -> list[BinaryIO]:
        """The files, oldest first, each at the first line that may be wanted."""
        files: list[BinaryIO] = []
        seen = set()
        # Newest first: one that is renamed meanwhile comes up twice rather than never.
        for path in reversed(self.paths):
            with suppress(FileNotFoundError):  # just rotated: it came up under its next name
                opened = stack.enter_context(path.open("rb"))
                if (inode := os.fstat(opened.fileno()).st_ino) not in seen:
                    seen.add(inode)
                    files.append(opened)
        if last is not None:
            wanted = last
            for file in files:
                wanted -= _seek_last(file, wanted)
        elif since:
            early = moments.shifted(since, -DISORDER)
            for file in files:
                _seek_time(file, early)
        return files[::-1]


def rotated(path: Path) -> tuple[Path, ...]:
    """A log file, last, and those before it: `path`.1 is the one that it was before."""
    paths = [path]
    while (older := path.with_name(f"{path.name}.{len(paths)}")).exists():
        paths.append(older)
    return tuple(reversed(paths))


def _is_replaced(path: Path, file: BinaryIO) -> bool:
    """Whether another file has the name now. Nobody writes to this one any more, then."""
    try:
        return path.stat().st_ino != os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False  # renamed, and still written to until the new one is there


def _next(path: Path, file: BinaryIO) -> Path:
    """The file that was begun after this one; it may have been put aside as well by now."""
    inode = os.fstat(file.fileno()).st_ino
    newest_first = rotated(path)[::-1]
    for newer, older in pairwise(newest_first):
        with suppress(FileNotFoundError):
            if older.stat().st_ino == inode:
                return newer
    return newest_first[-1]


def _seek_last(file: BinaryIO, wanted: int) -> int:
    """Go to where the last lines begin; return how many there are, at most `wanted`."""
    position = size = file.seek(0, os.SEEK_END)
    found = 0
    while position and found < wanted:
        start = max(0, position - _BLOCK)
        file.seek(start)
        block = file.read(position - start)
        # A line begins behind each newline but the file's last byte.
        index = len(block) - 1 if position == size else len(block)
        while found < wanted and (index := block.rfind(b"\n", 0, index)) >= 0:
            found += 1
            position = start + index + 1
        if found < wanted:
            position = start
    if size and not position and found < wanted:
        found += 1
    file.seek(position if wanted else size)
    return found


def _seek_time(file: BinaryIO, since: str) -> None:
    """Go to a line that only lines from before `since` precede."""
    low, high = 0, file.seek(0, os.SEEK_END)
    while high - low > _BLOCK:
        middle = (low + high) // 2
        file.seek(middle)
        file.readline()
        times = (time_of(cleaned(line)) for line in file)
        if (found := next(filter(None, times), "")) and found < since:
            low = middle
        else:
            high = middle
    file.seek(low)
    if low:
        file.readline()
