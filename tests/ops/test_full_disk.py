"""Where a disk is full: supervisord writes on, no small file is torn, and what is lost is told."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bascule_ops import atomic, proc
from bascule_ops.blocking.blocks import Blocks
from bascule_ops.blocking.markers import parse
from bascule_ops.supervision import log_writing, operation
from bascule_ops.supervision.log_rotation import RotationError, rotate

from tests.harness.tree import LIMIT
from tests.harness.waiting import wait_until


@contextmanager
def small_file(path: Path, most: int) -> Iterator[None]:
    """Let this process write no file beyond so many bytes (the kernel refuses, as a full disk)."""

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_line_that_the_disk_does_not_take_is_counted_and_told_once_there_is_room(
    tmp_path: Path,
) -> None:
    tally = log_writing.Tally()
    log = tmp_path / "log"
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        with small_file(log, 10):
            tally.write(descriptor, b"whole\n")
            tally.write(descriptor, b"that is cut\n")
            tally.write(descriptor, b"and lost\nand lost\n")
        assert tally.now["lines"] == 3
        assert tally.now["why"] == "File too large"
        tally.write(descriptor, b"whole again\n")
    finally:
        os.close(descriptor)
    whole, cut, told, again = log.read_text().splitlines()
    assert (whole, cut, again) == ("whole", "that", "whole again")
    assert json.loads(told)["event"] == "log_lost"
    assert json.loads(told)["lines"] == 3
    assert tally.now["why"] == ""


def test_that_lines_are_missing_is_told_though_nobody_has_another(tmp_path: Path) -> None:
    tally = log_writing.Tally()
    log = tmp_path / "log"
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        with small_file(log, 0):
            tally.write(descriptor, b"lost\n")
            tally.try_again(descriptor)
        assert tally.now["lines"] == 1
        tally.try_again(descriptor)
    finally:
        os.close(descriptor)
    assert json.loads(log.read_text())["event"] == "log_lost"
    assert tally.now["why"] == ""


NGINX = b'2026/11/21 10:00:00 [alert] 71#71: *12 write() to "/run/fd/1" '
OF_OTHERS = {
    b'{"event": "log_lost", "worker": "0", "lines": 7, "why": "nobody reads it"}\n': (
        (7, "nobody reads it")
    ),
    NGINX + b"failed (28: No space left on device) while logging request, client: ::1\n": (
        (1, "No space left on device")
    ),
    NGINX + b"was incomplete: 100 of 600 while logging request\n": (1, "No space left on device"),
    b'{"event": "log_lost", "lines": "many"}\n{"event": "log", "message": "log_lost"}\n': (0, ""),
    b"2026/11/21 10:00:00 [alert] 71#71: worker process 72 exited on signal 11\n": (0, ""),
}


@pytest.mark.parametrize("text", OF_OTHERS)
def test_what_others_say_that_they_have_lost_is_counted_too(text: bytes, tmp_path: Path) -> None:
    tally = log_writing.Tally()
    log = tmp_path / "log"
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT)
    try:
        tally.write(descriptor, b"before\n" + text)
    finally:
        os.close(descriptor)
    assert log.read_bytes() == b"before\n" + text
    assert (tally.now["lines"], tally.now["last_why"]) == OF_OTHERS[text]
    assert tally.now["why"] == ""  # supervisord itself can write
    tally.begin_anew()
    assert (tally.now["lines"], tally.aside["lines"]) == (0, OF_OTHERS[text][0])


def test_a_log_file_that_cannot_be_opened_anew_goes_on_where_it_was(tmp_path: Path) -> None:
    directory = tmp_path / "logs"
    directory.mkdir()
    handler = log_writing.LogFile(str(directory / "log"))
    kept = (directory / "log").rename(tmp_path / "kept")
    directory.rmdir()
    handler.reopen()
    handler.put(b"still written\n")
    handler.close()
    assert kept.read_text() == "still written\n"


def test_a_log_file_that_nobody_has_any_more_is_closed(tmp_path: Path) -> None:
    handler = log_writing.LogFile(str(tmp_path / "log"))
    inode = (tmp_path / "log").stat().st_ino

    def is_open() -> bool:
        links = [path for path in Path("/proc/self/fd").iterdir() if path.exists()]
        return any(path.stat().st_ino == inode for path in links)

    assert is_open()
    del handler
    assert not is_open()


def test_supervisords_own_log_stays_small(tmp_path: Path) -> None:
    log = tmp_path / "supervisord.log"
    handler = log_writing.OwnLogFile(str(log), "a", 100, 1)
    for number in range(30):
        handler.put(b"line %d\n" % number)
    handler.close()
    assert log.stat().st_size < 100
    assert log.with_name("supervisord.log.1").exists()


def test_a_rotation_without_a_supervisord_changes_nothing(tmp_path: Path) -> None:
    log = tmp_path / "bascule.log"
    log.write_text("before\n")
    with pytest.raises(RotationError, match="does not run"):
        rotate(log, 5, 0)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: proc.state(process.pid) == proc.STOPPED, "it to stop", limit=LIMIT)
        with pytest.raises(RotationError, match=f"kill -CONT {process.pid}"):
            rotate(log, 5, process.pid)
        process.kill()
    assert [path.name for path in tmp_path.iterdir()] == ["bascule.log"]


# --- small files ---------------------------------------------------------------------------------


def test_a_file_that_cannot_be_replaced_stays_as_it_was_and_leaves_nothing_over(
    tmp_path: Path,
) -> None:
    path = tmp_path / "state"
    atomic.write(path, "before")
    with small_file(path, 10), pytest.raises(OSError, match="File too large"):
        atomic.write(path, "x" * 100)
    assert path.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["state"]


def test_nobody_is_on_the_list_of_the_blocked_whom_nginx_lets_in(tmp_path: Path) -> None:
    blocks = Blocks(tmp_path)
    blocks.add(parse("203.0.113.1"), None, "")
    with small_file(tmp_path, 10), pytest.raises(OSError, match="File too large"):
        blocks.add(parse("203.0.113.2"), None, "")
    assert [str(block.network) for block in blocks.read()] == ["203.0.113.1/32"]
    assert [path.name for path in (tmp_path / "blocked").iterdir()] == ["203.0.113.1"]


def test_what_is_done_is_done_though_nobody_can_be_told(tmp_path: Path) -> None:
    (tmp_path / operation.LOCK_FILE).touch()
    with operation.alone(tmp_path) as tell, small_file(tmp_path, 10):
        tell(operation.Operation(kind="restart", process="worker-0", number=1, of=2))
