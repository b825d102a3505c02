"""The shared table in one process: against a plain model, full, flooded, and with a bad file."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from bascule_middleware.links.ratelimit.limits import Limit, parse_limit
from bascule_middleware.links.ratelimit.rate_file import NotOursError
from bascule_middleware.links.ratelimit.rate_table import ENTRY_BYTES, Claim, Table, shared_table
from bascule_middleware.links.ratelimit.rates import SECOND, credit, spent
from hypothesis import given
from hypothesis import strategies as st


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000 * SECOND

    def __call__(self) -> int:
        return self.now


def limited(text: str) -> Limit:
    return parse_limit(text, 64)


def admits(table: Table, limit: Limit, key: str) -> bool:
    return table.take([(limit, (key,))])[0]


LIMITS = [limited("3/second"), limited("5/minute burst 2"), limited("2/second in total")]
steps = st.lists(
    st.tuples(
        st.integers(0, SECOND),
        st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=3, unique=True),
        st.sampled_from("abc"),
    ),
    max_size=60,
)


@given(steps)
def test_it_counts_as_a_dictionary_would(
    tmp_path_factory: pytest.TempPathFactory, steps: Sequence[tuple[int, list[int], str]]
) -> None:
    clock, tats = Clock(), dict[tuple[str, tuple[str, ...]], int]()
    table = Table(tmp_path_factory.mktemp("table") / "table", 512, clock)
    for pause, numbers, key in steps:
        clock.now += pause
        claims: list[Claim] = [(LIMITS[number], (key,) if number < 2 else ()) for number in numbers]
        names = [(limit.definition, parts) for limit, parts in claims]
        costs = [limit.rate.interval for limit, _ in claims]
        left = [
            credit(tats.get(name, 0), clock.now, limit.rate.capacity)
            for name, (limit, _) in zip(names, claims, strict=True)
        ]
        allowed = all(each >= cost for each, cost in zip(left, costs, strict=True))
        if allowed:
            for name, cost in zip(names, costs, strict=True):
                tats[name] = spent(tats.get(name, 0), clock.now, cost)
            left = [each - cost for each, cost in zip(left, costs, strict=True)]
        assert table.take(claims) == (allowed, left)


def test_a_flood_of_new_keys_neither_grows_the_table_nor_frees_who_is_refused(
    tmp_path: Path,
) -> None:
    table = Table(tmp_path / "table", 64)
    limit = limited("5/day")
    offenders = [f"offender {number}" for number in range(4)]
    for offender in offenders:
        while admits(table, limit, offender):
            pass
    size = (tmp_path / "table").stat().st_size
    for number in range(20_000):
        assert admits(table, limit, f"new {number}")
        if number % 100 == 0:
            assert not any(admits(table, limit, offender) for offender in offenders)
    assert (tmp_path / "table").stat().st_size == size == 4096 + 64 * ENTRY_BYTES


def test_a_new_key_takes_the_place_of_the_one_that_has_used_the_least_of_its_burst(
    tmp_path: Path,
) -> None:
    table = Table(tmp_path / "table", 8)
    limit = limited("100/day")
    for number in range(8):
        for _ in range(10 + number):
            admits(table, limit, f"key {number}")
    admits(table, limit, "new")
    used = [
        100 - 1 - table.take([(limit, (f"key {n}",))])[1][0] // limit.rate.interval for n in (7, 1)
    ]
    assert used == [17, 11]
    assert table.take([(limit, ("key 0",))])[1][0] // limit.rate.interval == 99


def test_an_entry_that_counts_nothing_any_more_is_taken_first(tmp_path: Path) -> None:
    clock = Clock()
    table = Table(tmp_path / "table", 8, clock)
    quick, slow = limited("10/second"), limited("10/day")
    for _ in range(10):
        admits(table, quick, "expired")
    clock.now += 2 * SECOND
    for number in range(7):
        admits(table, slow, f"key {number}")
    admits(table, slow, "new")
    for key in (*(f"key {number}" for number in range(7)), "new"):
        assert table.take([(slow, (key,))])[1][0] // slow.rate.interval == 8


def test_where_all_entries_are_being_refused_a_new_key_is_admitted_uncounted_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = Table(tmp_path / "table", 8)
    limit = limited("1/day")
    for number in range(8):
        assert admits(table, limit, f"offender {number}")
    with caplog.at_level(logging.WARNING, "bascule.ratelimit"):
        assert all(admits(table, limit, "new") for _ in range(3))
    assert not any(admits(table, limit, f"offender {number}") for number in range(8))
    assert [record.event for record in caplog.records] == ["rate_table_full"]  # type: ignore[attr-defined]


def test_two_limits_of_a_request_that_meet_in_one_set_keep_their_counts_apart(
    tmp_path: Path,
) -> None:
    clock = Clock()
    table = Table(tmp_path / "table", 8, clock)
    slow, quick = limited("50/day"), limited("10/second")
    for number in range(7):
        for _ in range(2):
            admits(table, slow, f"key {number}")
    assert admits(table, slow, "both")
    # The set is full with this one, which has used the least: the quick limit takes its place.
    assert table.take([(quick, ("both",)), (slow, ("both",))])[0]
    clock.now += SECOND
    assert admits(table, quick, "both")
    assert table.take([(slow, ("both",))])[1][0] // slow.rate.interval == 47


def test_a_request_that_one_limit_refuses_does_not_count_on_the_others(tmp_path: Path) -> None:
    table = Table(tmp_path / "table", 64)
    wide, narrow = limited("10/day"), limited("1/day per path")
    assert table.take([(wide, ("a",)), (narrow, ("b",))])[0]
    for _ in range(20):
        assert not table.take([(wide, ("a",)), (narrow, ("b",))])[0]
    assert table.take([(wide, ("a",))])[1][0] // wide.rate.interval == 8


def test_workers_that_open_a_file_at_the_same_time_share_it_and_its_counts(tmp_path: Path) -> None:
    limit = limited("1/day")
    assert admits(Table(tmp_path / "table", 64), limit, "a")
    assert not admits(Table(tmp_path / "table", 64), limit, "a")


def test_a_process_has_one_table_a_file(tmp_path: Path) -> None:
    first = shared_table(tmp_path / "table", 64)
    (tmp_path / "link").hardlink_to(tmp_path / "table")
    assert shared_table(tmp_path / "link", 64) is first
    assert shared_table(tmp_path / "other", 64) is not first


def test_a_file_that_is_there_keeps_its_size_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    limit = limited("1/day")
    assert admits(Table(tmp_path / "table", 64), limit, "a")
    assert caplog.records == []
    other = Table(tmp_path / "table", 128)
    assert other.entries == 64
    assert not admits(other, limit, "a")
    assert [record.event for record in caplog.records] == ["rate_table_kept"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("damage", ["header", "cut", "grown", "text", "another boot", "torn start"])
def test_a_file_that_is_broken_or_of_another_boot_is_replaced(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, limit = tmp_path / "table", limited("1/day")
    old = Table(path, 64)
    assert admits(old, limit, "a")
    content = bytearray(path.read_bytes())
    if damage == "header":
        content[20] ^= 1
    elif damage == "cut":
        del content[-1:]
    elif damage == "grown":
        content += bytes(4096)
    elif damage == "text":
        content = bytearray(b"hello\n")
    elif damage == "torn start":
        content[:4096] = bytes(4096)
    else:
        (tmp_path / "boot_id").write_text("00000000-0000-0000-0000-000000000000\n")
        monkeypatch.setattr(
            "bascule_middleware.links.ratelimit.rate_file._BOOT_ID", tmp_path / "boot_id"
        )
    path.unlink()
    path.write_bytes(content)
    path.chmod(0o600)
    new = Table(path, 64)
    assert admits(new, limit, "a")
    assert not admits(Table(path, 64), limit, "a")
    assert not admits(old, limit, "a")  # who used it before is not disturbed


def test_a_file_has_all_its_room_from_the_start(tmp_path: Path) -> None:
    """In a file system that fills up later, a write to a sparse one would kill the worker."""
    Table(tmp_path / "table", 4096)
    status = (tmp_path / "table").stat()
    assert status.st_blocks * 512 >= status.st_size


def test_a_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    Table(tmp_path / "table", 64)
    assert (tmp_path / "table").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("fault", ["open to others", "a directory", "a symbolic link", "a pipe"])
def test_what_others_could_have_put_there_is_refused(fault: str, tmp_path: Path) -> None:
    path = tmp_path / "table"
    if fault == "open to others":
        path.touch()
        path.chmod(0o666)
    elif fault == "a directory":
        path.mkdir()
    elif fault == "a pipe":
        os.mkfifo(path, 0o600)
    else:
        path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"\w") as caught:
        Table(path, 64)
    assert isinstance(caught.value, NotOursError) or fault in ("a directory", "a symbolic link")
    assert not (tmp_path / "elsewhere").exists()


@pytest.fixture
def many_switches() -> Iterator[None]:
    """Let threads take turns every few steps."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("many_switches")
def test_threads_of_a_process_do_not_count_twice(tmp_path: Path) -> None:
    table, limit = Table(tmp_path / "table", 64), limited("1000/day burst 79900")
    admitted: list[bool] = []

    begin = threading.Barrier(8)

    def hammer() -> None:
        begin.wait()
        admitted.extend([admits(table, limit, "a") for _ in range(10_000)])

    threads = [threading.Thread(target=hammer) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(admitted), sum(admitted)) == (80_000, 79_900)
