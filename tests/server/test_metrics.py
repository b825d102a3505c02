"""The metrics file: who owns which slot, what readers see, and what is refused."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bascule.told.metrics import (
    BOUNDS,
    DURATION_SUM,
    DURATIONS,
    FILE_SIZE,
    NAME_SIZE,
    QUEUE_WAITS,
    REFUSED,
    SENT_BYTES,
    SLOT_SIZE,
    SLOTS,
    STATUSES,
    MetricsFileError,
    claim,
    private,
    read,
)

from tests.harness.processes import Process

# A process that claims a slot for a name, adds to it what it is told, and waits to be ended.
OWNER = """\
import sys
from bascule.told.metrics import SENT_BYTES, claim
cells = claim(sys.argv[1], sys.argv[2])
cells[SENT_BYTES] += int(sys.argv[3])
print("counted", flush=True)
sys.stdin.read()
"""

Owner = Callable[[str, int], Process]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "metrics")


@pytest.fixture
def owner(path: str) -> Iterator[Owner]:
    """Start processes that own a slot."""
    stack = contextlib.ExitStack()

    def start(name: str, sent: int) -> Process:
        command = [sys.executable, "-c", OWNER, path, name, str(sent)]
        process = stack.enter_context(Process(command, stdin=subprocess.PIPE))
        assert process.read_line() == "counted\n"
        return process

    with stack:
        yield start


def claimed(path: str, name: str) -> memoryview:
    cells = claim(path, name)
    assert cells is not None
    return cells


def test_a_file_is_made_whole_and_for_its_owner_alone(path: str) -> None:
    claimed(path, "0")
    found = Path(path).stat()
    assert (found.st_size, found.st_mode & 0o777) == (FILE_SIZE, 0o600)
    assert found.st_blocks * 512 >= FILE_SIZE, "blocks that are missing may not be had later"


def test_what_is_counted_is_read_by_the_workers_name(path: str) -> None:
    cells = claimed(path, "käse")
    cells[SENT_BYTES] += 7
    cells[REFUSED] += 1
    cells[STATUSES + 4] += 2
    (found,) = read(path)
    assert found.worker == "käse"
    assert (found.sent_bytes, found.refused, found.starts) == (7, 1, 1)
    assert found.requests == {"1xx": 0, "2xx": 0, "3xx": 0, "4xx": 0, "5xx": 2}


def test_a_histogram_is_cumulative(path: str) -> None:
    cells = claimed(path, "0")
    cells[DURATIONS] = 5
    cells[DURATIONS + 2] = 3
    cells[DURATIONS + len(BOUNDS)] = 1
    cells[DURATION_SUM] = 61_500_000
    cells[QUEUE_WAITS + len(BOUNDS)] = 4
    (found,) = read(path)
    assert found.duration.buckets[:4] == ((0.0005, 5), (0.001, 5), (0.0025, 8), (0.005, 8))
    assert found.duration.buckets[-1] == (60.0, 8)
    assert (found.duration.count, found.duration.sum_s) == (9, 61.5)
    assert (found.queue_wait.buckets[-1], found.queue_wait.count) == ((60.0, 0), 4)


def test_the_layout_of_version_1_is_what_it_was(path: str) -> None:
    """Another one is another version: files outlive the server that made them."""
    cells = [1, *range(1009, 1064)]  # each but the first with a number of its own
    slot = b"0".ljust(64, b"\0") + struct.pack("@56Q", *cells)
    header = struct.pack("@8s3Q", b"BASCULEM", 1, 256, 512)
    Path(path).write_bytes(header.ljust(512, b"\0") + slot + bytes(255 * 512))
    (found,) = read(path)
    assert (found.starts, found.slow_calls, found.hung_requests) == (1009, 1010, 1011)
    assert (found.rate_limited, found.refused, found.client_disconnects) == (1012, 1013, 1014)
    assert (found.received_bytes, found.sent_bytes) == (1015, 1016)
    assert (found.duration.sum_s, found.queue_wait.sum_s) == (0.001017, 0.001018)
    assert found.requests == {"1xx": 1019, "2xx": 1020, "3xx": 1021, "4xx": 1022, "5xx": 1023}
    bounds = (
        *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
        *(0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
    )
    for histogram, first in ((found.duration, 1024), (found.queue_wait, 1041)):
        sums = itertools.accumulate(range(first, first + 16))
        assert histogram.buckets == tuple(zip(bounds, sums, strict=True))
        assert histogram.count == sum(range(first, first + 17))
    assert found.internal_errors == 1058


def test_it_is_a_document_that_json_knows(path: str) -> None:
    claimed(path, "0")
    (found,) = read(path)
    text = json.dumps(found._asdict(), allow_nan=False, default=vars)
    assert json.loads(text)["duration"]["buckets"][0] == [0.0005, 0]


def test_a_number_may_have_64_bits(path: str) -> None:
    claimed(path, "0")[SENT_BYTES] = 2**64 - 1
    assert read(path)[0].sent_bytes == 2**64 - 1


def test_counters_outlive_a_process_that_is_killed(path: str, owner: Owner) -> None:
    for sent in (5, 7):
        process = owner("0", sent)
        process.kill()
    (found,) = read(path)
    assert (found.sent_bytes, found.starts) == (12, 2)
    claimed(path, "0")
    assert [each.starts for each in read(path)] == [3]


def test_processes_that_overlap_are_added_up_and_take_no_third_slot(
    path: str, owner: Owner
) -> None:
    first, second = owner("0", 1), owner("0", 10)
    assert [each.sent_bytes for each in read(path)] == [11]
    first.kill()
    third = owner("0", 100)
    second.kill()
    third.kill()
    with Path(path).open("rb") as file:
        named = file.read().count(b"0".ljust(NAME_SIZE, b"\0"))
    (found,) = read(path)
    assert (found.sent_bytes, found.starts) == (111, 3)
    assert named == 2


def test_reading_the_file_gives_no_slot_up(path: str, owner: Owner) -> None:
    """A process's own lock must outlast its closing the file a second time."""
    cells = claimed(path, "0")
    read(path)
    owner("0", 5)
    cells[SENT_BYTES] += 1
    with Path(path).open("rb") as file:
        assert file.read().count(b"0".ljust(NAME_SIZE, b"\0")) == 2
    assert read(path)[0].sent_bytes == 6


def test_workers_are_read_in_order_and_an_empty_name_is_one(path: str) -> None:
    kept = [claimed(path, name) for name in ("b", "", "a")]
    assert [each.worker for each in read(path)] == ["", "a", "b"]
    assert len(kept) == 3


def test_many_processes_that_start_together_all_get_a_slot(path: str) -> None:
    code = OWNER.replace("sys.stdin.read()", "")
    with contextlib.ExitStack() as stack:
        together = [
            stack.enter_context(Process([sys.executable, "-c", code, path, str(number % 4), "1"]))
            for number in range(12)
        ]
        assert [process.wait(60) for process in together] == [0] * 12
    found = read(path)
    assert [each.worker for each in found] == ["0", "1", "2", "3"]
    assert [(each.starts, each.sent_bytes) for each in found] == [(3, 3)] * 4


def test_a_full_table_has_no_slot(path: str) -> None:
    kept = [claimed(path, str(number)) for number in range(SLOTS)]
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert claim(path, "one more") is None
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert len(read(path)) == len(kept)


def test_private_cells_are_counted_like_others() -> None:
    cells = private()
    cells[SENT_BYTES] += 3
    assert cells[SENT_BYTES] == 3


def test_a_file_that_was_left_half_made_is_made_anew(path: str) -> None:
    Path(path).write_bytes(bytes(FILE_SIZE))
    claimed(path, "0")
    assert [each.worker for each in read(path)] == ["0"]


def test_an_empty_file_is_made_a_metrics_file_but_not_read(path: str) -> None:
    Path(path).touch()
    with pytest.raises(MetricsFileError, match="no metrics file"):
        read(path)
    claimed(path, "0")
    assert len(read(path)) == 1


@pytest.mark.parametrize("content", [b"x", b"x" * FILE_SIZE, bytes(100), bytes(FILE_SIZE + 1)])
def test_a_foreign_file_is_refused_and_left_alone(path: str, content: bytes) -> None:
    Path(path).write_bytes(content)
    with pytest.raises(MetricsFileError, match="is no metrics file: name another file"):
        claim(path, "0")
    with pytest.raises(MetricsFileError):
        read(path)
    assert Path(path).read_bytes() == content


def test_a_file_of_another_version_is_refused(path: str) -> None:
    claimed(path, "0")
    with Path(path).open("r+b") as file:
        file.seek(8)
        file.write(b"\2")
    for use in (lambda: claim(path, "0"), lambda: read(path)):
        with pytest.raises(MetricsFileError, match="another version of the server: remove it"):
            use()


def test_a_file_that_was_cut_is_refused(path: str) -> None:
    claimed(path, "0")
    os.truncate(path, FILE_SIZE // 2)
    with pytest.raises(MetricsFileError):
        read(path)


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(MetricsFileError, match=r"cannot use .*: Is a directory"):
        claim(str(tmp_path), "0")
    with pytest.raises(MetricsFileError, match=r"cannot use .*: No such file"):
        claim(str(tmp_path / "nowhere" / "metrics"), "0")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MetricsFileError, match="cannot use"):
        claim(str(tmp_path / "link"), "0")


def test_a_name_that_is_too_long_is_refused(path: str) -> None:
    with pytest.raises(MetricsFileError, match="has 65 bytes: 64 are the most"):
        claim(path, "x" * 65)
    assert not Path(path).exists()
    name = "x" * 63 + "!"
    assert claimed(path, name).nbytes == SLOT_SIZE
    assert [each.worker for each in read(path)] == [name]


def test_reading_keeps_no_descriptor(path: str) -> None:
    claimed(path, "0")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        read(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_file_that_is_not_there_cannot_be_read(path: str) -> None:
    with pytest.raises(FileNotFoundError):
        read(path)
