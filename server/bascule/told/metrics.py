"""The metrics file: one file of counters that all workers of a stack share, and that never grows.

It is a header and ``SLOTS`` slots of ``SLOT_SIZE`` bytes, mapped into memory by whoever uses it. A
process claims a slot with a lock that the kernel gives back when the process ends, however it
ends; what it counted stays, and the next process of that name goes on from there. A process that
overlaps with its predecessor takes another slot, and readers add up the slots of a name.

Every cell is an unsigned number of 64 bits in the machine's order, at a multiple of 8 bytes, so
that reader and writer never see half of one. Only the slot's owner writes it. The layout is held
by ``VERSION``: another layout is another number, and is refused rather than misread.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

MAGIC: Final = b"BASCULEM"
VERSION: Final = 1
# 99 workers at the most, as many again while they are replaced, and some to spare.
SLOTS: Final = 256
SLOT_SIZE: Final = 512
NAME_SIZE: Final = 64
FILE_SIZE: Final = SLOT_SIZE * (1 + SLOTS)

# Upper bounds of the histograms' buckets (seconds), the same for both; one more has no bound.
BOUNDS: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip

# Cells of a slot, by their index. The first eight are the name, padded with zeros.
CLAIMED: Final = NAME_SIZE // 8  # 1 once the slot has a name, which may be empty
STARTS: Final = CLAIMED + 1
SLOW_CALLS: Final = CLAIMED + 2
HUNG_REQUESTS: Final = CLAIMED + 3
RATE_LIMITED: Final = CLAIMED + 4
REFUSED: Final = CLAIMED + 5
CLIENT_DISCONNECTS: Final = CLAIMED + 6
RECEIVED_BYTES: Final = CLAIMED + 7
SENT_BYTES: Final = CLAIMED + 8
DURATION_SUM: Final = CLAIMED + 9  # microseconds
QUEUE_WAIT_SUM: Final = CLAIMED + 10  # microseconds
STATUSES: Final = CLAIMED + 11  # 1xx to 5xx
DURATIONS: Final = STATUSES + 5  # a cell a bucket, not cumulative
QUEUE_WAITS: Final = DURATIONS + len(BOUNDS) + 1
INTERNAL_ERRORS: Final = QUEUE_WAITS + len(BOUNDS) + 1
CELLS: Final = SLOT_SIZE // 8

CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")

_HEADER: Final = struct.Struct("@8s3Q")
_THIS: Final = _HEADER.pack(MAGIC, VERSION, SLOTS, SLOT_SIZE)
# struct flock of fcntl(2): type, whence, start, length, pid.
_FLOCK: Final = struct.Struct("@hhqqi0q")


class MetricsFileError(Exception):
    """The file is not to be used; the message says why, and the remedy."""


class Histogram:
    """How often something took how long.

    Attributes:
        buckets: upper bound (seconds) and how many took no longer; what took more than the last
            bound is in ``count`` alone.
        sum_s: of all, in seconds.
        count: of all.
    """

    def __init__(self, buckets: tuple[tuple[float, int], ...], sum_s: float, count: int) -> None:
        self.buckets = buckets
        self.sum_s = sum_s
        self.count = count


class WorkerMetrics(NamedTuple):
    """What the processes of one name have counted, since the file was made.

    Attributes:
        worker: the name.
        requests: answers by the class of their status, ``1xx`` to ``5xx``; 499 stands for a
            client that left.
        duration: from the head's arrival to the last byte of the answer.
        queue_wait: from the complete request to the call of the application.
        slow_calls: calls that took more than 5 ms when that was not expected.
        hung_requests: that were given up.
        rate_limited: answers with status 429.
        refused: requests that no thread was to be had for.
        client_disconnects: clients that left before their answer.
        received_bytes: of requests, heads included.
        sent_bytes: of answers, heads included.
        starts: of processes.
        internal_errors: failures that the process survived (``bascule.guard``).
    """

    worker: str
    requests: dict[str, int]
    duration: Histogram
    queue_wait: Histogram
    slow_calls: int
    hung_requests: int
    rate_limited: int
    refused: int
    client_disconnects: int
    received_bytes: int
    sent_bytes: int
    starts: int
    internal_errors: int


def read(path: str | os.PathLike[str]) -> list[WorkerMetrics]:
    """Return the metrics of each worker, by name.

    Raises:
        MetricsFileError: it is no metrics file.
        OSError: it is not to be had.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(descriptor, path)
        with mmap.mmap(descriptor, FILE_SIZE, access=mmap.ACCESS_READ) as mapped:
            numbers = struct.unpack(f"@{FILE_SIZE // 8}Q", mapped)
            names = [
                mapped[start : start + NAME_SIZE]
                for start in range(SLOT_SIZE, FILE_SIZE, SLOT_SIZE)
            ]
    finally:
        os.close(descriptor)
    sums: dict[bytes, list[int]] = {}
    for number, name in enumerate(names, 1):
        cells = numbers[number * CELLS : (number + 1) * CELLS]
        if cells[CLAIMED]:
            before = sums.get(name, [0] * CELLS)
            sums[name] = [one + other for one, other in zip(before, cells, strict=True)]
    found = [_metrics(_decode(name), cells) for name, cells in sums.items()]
    return sorted(found, key=lambda each: each.worker)


def _metrics(worker: str, cells: list[int]) -> WorkerMetrics:
    return WorkerMetrics(
        worker=worker,
        requests=dict(zip(CLASSES, cells[STATUSES:DURATIONS], strict=True)),
        duration=_histogram(cells[DURATIONS:QUEUE_WAITS], cells[DURATION_SUM]),
        queue_wait=_histogram(
            cells[QUEUE_WAITS : QUEUE_WAITS + len(BOUNDS) + 1], cells[QUEUE_WAIT_SUM]
        ),
        slow_calls=cells[SLOW_CALLS],
        hung_requests=cells[HUNG_REQUESTS],
        rate_limited=cells[RATE_LIMITED],
        refused=cells[REFUSED],
        client_disconnects=cells[CLIENT_DISCONNECTS],
        received_bytes=cells[RECEIVED_BYTES],
        sent_bytes=cells[SENT_BYTES],
        starts=cells[STARTS],
        internal_errors=cells[INTERNAL_ERRORS],
    )


def _histogram(counts: list[int], microseconds: int) -> Histogram:
    cumulative = 0
    buckets = []
    for bound, count in zip(BOUNDS, counts, strict=False):
        cumulative += count
        buckets.append((bound, cumulative))
    return Histogram(tuple(buckets), microseconds / 1_000_000, sum(counts))


def _check(descriptor: int, path: str | os.PathLike[str]) -> None:
    size = os.fstat(descriptor).st_size
    header = os.pread(descriptor, _HEADER.size, 0)
    if size != FILE_SIZE or header != _THIS:
        if header[: len(MAGIC)] == MAGIC:
            raise MetricsFileError(
                f"{path} was made by another version of the server: remove it, or name another file"
            )
        raise MetricsFileError(f"{path} is no metrics file: name another file, or remove it")


# --- writing -------------------------------------------------------------------------------------


def claim(path: str, worker: str) -> memoryview | None:
    """Return the cells of a slot of one's own, in the file; None if it has none left.

    The file is made if there is none. The slot is this process's until it ends.

    Args:
        path: of the file.
        worker: the name under which it is found again.

    Raises:
        MetricsFileError: the file is not to be used, or the name is too long.
    """
    name = worker.encode("utf-8", "surrogateescape")
    if len(name) > NAME_SIZE:
        raise MetricsFileError(
            f"the worker's name, {worker!r}, has {len(name)} bytes: {NAME_SIZE} are the most"
        )
    try:
        # Never closed: the lock of the slot lasts as long as the descriptor.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with _locked_header(descriptor):
            if _is_new(descriptor):
                _make(descriptor)
            _check(descriptor, path)
        mapped = mmap.mmap(descriptor, FILE_SIZE)
    except OSError as error:
        raise MetricsFileError(f"cannot use {path}: {error.strerror or error}") from error
    slot = _claim_slot(descriptor, mapped, name.ljust(NAME_SIZE, b"\0"))
    if slot is None:
        mapped.close()
        os.close(descriptor)
        return None
    cells = memoryview(mapped).cast("Q")[slot * CELLS : (slot + 1) * CELLS]
    cells[STARTS] += 1
    return cells


def private() -> memoryview:
    """Return cells that nobody else sees."""
    return memoryview(bytearray(SLOT_SIZE)).cast("Q")


def _is_new(descriptor: int) -> bool:
    """Return whether nobody has made it yet, or somebody was killed while doing so."""
    header = os.pread(descriptor, _HEADER.size, 0)
    return os.fstat(descriptor).st_size in (0, FILE_SIZE) and not any(header)


def _make(descriptor: int) -> None:
    # Its blocks are there from now on: a mapped file that the disk has no room for ends a process.
    os.posix_fallocate(descriptor, 0, FILE_SIZE)
    os.pwrite(descriptor, _THIS, 0)


def _claim_slot(descriptor: int, mapped: mmap.mmap, name: bytes) -> int | None:
    """Return the number of a slot that nobody has: one with this name, or one without any."""
    for wanted in (name, None):
        for slot in range(1, SLOTS + 1):
            if _name_of(mapped, slot) != wanted or not _lock(descriptor, slot, fcntl.F_OFD_SETLK):
                continue
            if _name_of(mapped, slot) == wanted:
                start = slot * SLOT_SIZE
                mapped[start : start + NAME_SIZE] = name
                memoryview(mapped).cast("Q")[slot * CELLS + CLAIMED] = 1
                return slot
            _unlock(descriptor, slot)  # somebody was here in between
    return None


def _name_of(mapped: mmap.mmap, slot: int) -> bytes | None:
    if not memoryview(mapped).cast("Q")[slot * CELLS + CLAIMED]:
        return None
    return mapped[slot * SLOT_SIZE : slot * SLOT_SIZE + NAME_SIZE]


# Locks of open file descriptions (fcntl(2)): other than those of processes they stay when the same
# process opens and closes the file once more, to read it.
def _lock(descriptor: int, slot: int, command: int) -> bool:
    """Lock a slot, or the header, which is number 0; return whether nobody else has it."""
    request = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, slot * SLOT_SIZE, SLOT_SIZE, 0)
    try:
        fcntl.fcntl(descriptor, command, request)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _unlock(descriptor: int, slot: int) -> None:
    request = _FLOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, slot * SLOT_SIZE, SLOT_SIZE, 0)
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, request)


@contextmanager
def _locked_header(descriptor: int) -> Iterator[None]:
    _lock(descriptor, 0, fcntl.F_OFD_SETLKW)
    try:
        yield
    finally:
        _unlock(descriptor, 0)


def _decode(name: bytes) -> str:
    return name.rstrip(b"\0").decode("utf-8", "replace")
