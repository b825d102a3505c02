"""The way past whoever copies the output: whole lines, nobody waits, what is lost is counted."""

from __future__ import annotations

import errno
import io
import itertools
import json
import logging
import os
import resource
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bascule import streams
from bascule.told import event_log, log_route
from bascule.told.log_route import MOST_WAITING, LogRoute, Route, pieces
from hypothesis import example, given
from hypothesis import strategies as st

from tests.server.pipes import read

OWN = streams.own(streams.STDERR)
LONG = "x" * 5 * select.PIPE_BUF


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    yield reader, writer
    for each in (reader, writer):
        os.close(each)


@pytest.fixture
def events() -> Iterator[Callable[[], list[Any]]]:
    """What the server says of itself, as lines."""
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    event_log.configure("json", "info", "", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:], level = before
    root.setLevel(level)


def path_of(descriptor: int) -> str:
    """Return a path that leads to what a descriptor of this process is for."""
    return f"/proc/{os.getpid()}/fd/{descriptor}"


def fill(route: Route) -> int:
    """Write lines until no more are kept; return how many."""
    number = 0
    while not route.lost:
        route.write(f"{number}\n")
        number += 1
    return number - 1


def test_lines_go_to_the_end_of_a_file_as_they_are(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    route = Route(str(log), OWN)
    route.write("one\ntwo: 小明\n")
    route.write("\udce9\n")
    assert log.read_text() == "before\none\ntwo: 小明\n\\udce9\n"


def test_where_the_path_leads_elsewhere_the_lines_follow_at_the_next_look(tmp_path: Path) -> None:
    log, fd = tmp_path / "log", tmp_path / "fd"
    log.touch()
    fd.symlink_to(log)
    route = Route(str(fd), OWN)
    route.write("one\n")
    log.rename(tmp_path / "log.1")
    route.tend()  # nobody has begun the new file
    route.write("two\n")
    log.touch()
    route.write("three\n")
    route.tend()
    route.write("four\n")
    assert (tmp_path / "log.1").read_text() == "one\ntwo\nthree\n"
    assert log.read_text() == "four\n"


def test_a_file_that_was_left_is_closed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    route = Route(str(log), OWN)
    inode = log.stat().st_ino
    log.unlink()
    log.touch()
    route.tend()
    links = [path for path in Path("/proc/self/fd").iterdir() if path.exists()]
    assert not [path for path in links if path.stat().st_ino == inode]


def test_whoever_shares_the_pipe_keeps_waiting_writes(pipe: tuple[int, int]) -> None:
    route = Route(path_of(pipe[1]), OWN)
    route.write("one\n")
    assert os.get_blocking(pipe[1])
    assert read(pipe[0]) == b"one\n"


def test_where_nobody_reads_lines_are_kept_then_lost_and_counted(pipe: tuple[int, int]) -> None:
    route = Route(path_of(pipe[1]), OWN)
    kept = fill(route)
    route.write("lost as well\nand this\n")
    assert (route.lost, route.why) == (3, "nobody reads it")
    found = b""
    while data := read(pipe[0]):
        found += data
        route.send()
    assert found.split() == [b"%d" % number for number in range(kept)]
    route.write("again\n")
    assert read(pipe[0]) == b"again\n"
    assert route.lost == 3


def test_a_reader_that_does_not_read_has_so_many_bytes_kept_for_it(pipe: tuple[int, int]) -> None:
    route = Route(path_of(pipe[1]), OWN)
    while not route.waiting:
        route.write("x" * 1000 + "\n")
    room = MOST_WAITING - sum(map(len, route.waiting))
    route.write("x" * (room - 1) + "\n")
    assert route.lost == 0
    route.write("\n")
    assert route.lost == 1


def test_all_that_a_pipe_has_room_for_goes_at_once(pipe: tuple[int, int]) -> None:
    route = Route(path_of(pipe[1]), OWN)
    lines = ("x" * (select.PIPE_BUF // 2) + "\n") * 6
    route.write(lines)
    assert os.read(pipe[0], len(lines) + 1) == lines.encode()


def test_what_is_written_in_the_middle_of_a_write_follows_it(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the handler of a signal, on the thread that writes."""
    route = Route(path_of(pipe[1]), OWN)
    write = os.write

    def interrupted(descriptor: int, data: bytes) -> int:
        monkeypatch.undo()
        route.write("inner\n")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", interrupted)
    route.write("outer\n")
    assert read(pipe[0]) == b"outer\ninner\n"


def test_where_nothing_can_be_locked_lines_are_written_all_the_same(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", fail)
    route = Route(path_of(pipe[1]), OWN)
    route.write("one\n")
    route.write("two\n")
    assert read(pipe[0]) == b"one\ntwo\n"


def test_a_pipe_is_kept_where_the_path_leads_elsewhere(
    pipe: tuple[int, int], tmp_path: Path
) -> None:
    """Whoever reads it would not see what goes there."""
    there = tmp_path / "1"
    there.symlink_to(path_of(pipe[1]))
    route = Route(str(there), OWN)
    there.unlink()
    there.touch()
    route.tend()
    route.write("one\n")
    assert read(pipe[0]) == b"one\n"


def test_a_pipe_without_a_reader_and_a_full_disk_cost_lines() -> None:
    reader, writer = os.pipe()
    route = Route(path_of(writer), OWN)
    os.close(reader)
    route.write("one\ntwo\n")
    assert (route.lost, route.why) == (2, "Broken pipe")
    os.close(writer)
    full = Route("/dev/full", OWN)
    full.write("one\n")
    assert (full.lost, full.why) == (1, "No space left on device")


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let files have so many bytes and no more, which is refused as by a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_follows_a_line_that_the_disk_cut_begins_a_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    route = Route(str(log), OWN)
    with room_for(10):
        route.write("whole\nthat is cut\nlost\n")
        route.write("lost\n")
    route.write("whole again\n")
    route.write("and again\n")
    assert log.read_text() == "whole\nthat\nwhole again\nand again\n"
    assert (route.lost, route.why) == (3, "File too large")


def test_what_follows_a_line_of_which_the_disk_took_nothing_does_not(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    route = Route(str(log), OWN)
    with room_for(len("whole\n")):
        route.write("whole\n")
        route.write("lost\n")
        route.write("lost\n")
    route.write("whole again\n")
    with room_for(len("whole\nwhole again\nand again\n")):
        route.write("and again\nlost\n")
    route.write("at last\n")
    assert log.read_text() == "whole\nwhole again\nand again\nat last\n"
    assert route.lost == 3


def test_a_line_that_is_cut_in_one_file_does_not_go_on_in_the_next(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    route = Route(str(log), OWN)
    with room_for(3):
        route.write("cut\n")
    log.rename(tmp_path / "log.1")
    log.touch()
    route.tend()
    route.write("whole\n")
    assert log.read_text() == "whole\n"


def test_at_the_end_what_waits_is_written_off(pipe: tuple[int, int]) -> None:
    route = Route(path_of(pipe[1]), OWN)
    size = 0
    while size < 2 << 16:
        route.write(LONG + "\n")
        size += len(LONG) + 1
    settles = threading.Thread(target=route.settle)
    settles.start()
    found = b""
    while len(found) < size:
        found += read(pipe[0])
    settles.join(20)
    assert found == (LONG + "\n").encode() * (size // len(LONG + "\n"))


def test_a_reader_that_is_gone_holds_up_no_end(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_route, "PATIENCE", 0.0)
    route = Route(path_of(pipe[1]), OWN)
    fill(route)
    route.settle()


def test_a_forked_process_writes_to_its_own_output_and_leaves_the_log(tmp_path: Path) -> None:
    """It would not follow a rotation, and a file that it has open would not be complete."""
    log, own = tmp_path / "log", tmp_path / "own"
    for each in (log, own):
        each.touch()
    descriptor = os.open(own, os.O_WRONLY)
    route = Route(str(log), streams.Output(descriptor))
    inode = log.stat().st_ino
    child = os.fork()
    if not child:
        route.write("of the child\n")
        links = [path for path in Path("/proc/self/fd").iterdir() if path.exists()]
        os._exit(7 if all(path.stat().st_ino != inode for path in links) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    route.write("of the parent\n")
    assert (own.read_text(), log.read_text()) == ("of the child\n", "of the parent\n")
    os.close(descriptor)


def test_a_forked_process_leaves_a_log_that_was_rotated_alone(tmp_path: Path) -> None:
    log, other = tmp_path / "log", tmp_path / "other"
    for each in (log, other):
        each.touch()
    route = Route(str(log), OWN)
    child = os.fork()
    if not child:
        descriptors = [os.open(other, os.O_RDONLY) for _ in range(8)]  # one has the log's number
        log.unlink()
        log.touch()
        route.tend()
        inode = other.stat().st_ino
        os._exit(7 if all(os.fstat(each).st_ino == inode for each in descriptors) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_process_that_is_forked_in_the_middle_of_a_write_writes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, own = tmp_path / "log", tmp_path / "own"
    for each in (log, own):
        each.touch()
    descriptor = os.open(own, os.O_WRONLY)
    route = Route(str(log), streams.Output(descriptor))
    inside, go_on, write = threading.Event(), threading.Event(), os.write

    def waits(to: int, data: bytes) -> int:
        if threading.current_thread() is writer:
            inside.set()
            go_on.wait()
        return write(to, data)

    monkeypatch.setattr(os, "write", waits)
    writer = threading.Thread(target=route.write, args=["of the parent\n"])
    writer.start()
    inside.wait()
    child = os.fork()
    if not child:
        signal.alarm(10)
        route.write("of the child\n")
        os._exit(7)
    go_on.set()
    writer.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert (own.read_text(), log.read_text()) == ("of the child\n", "of the parent\n")
    os.close(descriptor)


WRITER = """
import sys
from bascule import streams
from bascule.told.log_route import Route
path, name = sys.argv[1:]
route = Route(path, streams.own(2))
for number in range(300):
    size = number * 37 % 9000  # some of a kilobyte, some longer than a pipe keeps together
    route.write(f"{name} {number} {'x' * size} {size}\\n" * (number % 3))
    route.settle()
print(route.lost)
"""


@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_lines_of_several_processes_do_not_mix(kind: str, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    log = tmp_path / "log"
    log.touch()
    path = path_of(writer) if kind == "pipe" else str(log)
    command = [sys.executable, "-c", WRITER, path]
    found = bytearray()
    reads = threading.Thread(target=lambda: [found.extend(x) for x in chunks(reader)])
    reads.start()
    writers = [
        subprocess.Popen([*command, name], stdout=subprocess.PIPE, env=environment())
        for name in "abc"
    ]
    assert [each.communicate()[0] for each in writers] == [b"0\n"] * 3
    os.close(writer)
    reads.join(20)
    os.close(reader)
    lines = (bytes(found) if kind == "pipe" else log.read_bytes()).decode().splitlines()
    for line in lines:
        _, number, text, size = line.split(" ")
        assert text == "x" * (int(number) * 37 % 9000)
        assert int(size) == len(text)
    for name in "abc":
        numbers = [int(line.split(" ")[1]) for line in lines if line[0] == name]
        assert numbers == [number for number in range(300) for _ in range(number % 3)]


def chunks(reader: int) -> Iterator[bytes]:
    """Yield what comes out of a pipe, to its end."""
    while data := os.read(reader, 1 << 14):
        yield data


def environment() -> dict[str, str]:
    """Return one in which the server's package is found."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


@given(st.lists(st.integers(0, 3 * select.PIPE_BUF), max_size=20), st.booleans())
@example([select.PIPE_BUF], False)
@example([10, select.PIPE_BUF - 11], False)
def test_a_piece_is_whole_lines_that_a_pipe_keeps_together_or_one_that_it_does_not(
    sizes: list[int], is_ended: bool
) -> None:
    data = b"\n".join(b"x" * size for size in sizes) + b"\n" * is_ended
    found = pieces(data)
    assert b"".join(found) == data
    for piece in found[:-1]:
        assert piece.endswith(b"\n")
    for piece in found:
        assert len(piece) <= select.PIPE_BUF or piece.find(b"\n") in (-1, len(piece) - 1)
    for piece, after in itertools.pairwise(found):  # as many as fit
        assert len(piece) + len(after.splitlines(keepends=True)[0]) > select.PIPE_BUF


def test_a_long_line_is_waited_for_by_others(pipe: tuple[int, int]) -> None:
    first, second = (Route(path_of(pipe[1]), OWN) for _ in range(2))
    first.write(LONG * 10 + "\n")  # more than the pipe takes
    second.write("short\n")
    found = b""
    while not found.endswith(b"short\n"):
        found += read(pipe[0])
        first.send()
        second.send()
    assert found == (LONG * 10 + "\nshort\n").encode()


def test_where_no_route_is_named_lines_go_to_the_process_s_own_output() -> None:
    route = LogRoute("")
    assert (route.output, route.error) == (streams.own(1), streams.own(2))
    route.tend()
    route.settle()


def test_where_the_route_leads_nowhere_that_is_said_and_lines_go_on(
    tmp_path: Path, events: Callable[[], list[Any]]
) -> None:
    route = LogRoute(str(tmp_path))
    assert (route.output, route.error) == (streams.own(1), streams.own(2))
    assert [each["event"] for each in events()] == ["log_not_reopened"] * 2


def test_what_is_lost_is_told_once(tmp_path: Path, events: Callable[[], list[Any]]) -> None:
    for number in ("1", "2"):
        (tmp_path / number).symlink_to("/dev/full")
    route = LogRoute(str(tmp_path))
    route.output.write("one\ntwo\n")
    route.error.write("three\n")
    for _ in range(2):
        route.tend()
    route.output.write("four\n")
    route.tend()
    told = [(each["event"], each["lines"]) for each in events()]
    assert told == [("log_lost", 3), ("log_lost", 1)]
    assert events()[0]["message"] == "3 lines of the log are lost: No space left on device"


@pytest.mark.parametrize("how", ["send", "tend", "settle"])
def test_what_waits_is_written_once_the_reader_reads(
    how: str, pipe: tuple[int, int], tmp_path: Path
) -> None:
    (tmp_path / "1").symlink_to(path_of(pipe[1]))
    (tmp_path / "2").touch()
    route = LogRoute(str(tmp_path))
    assert not route.is_waiting
    written = b""
    while not route.is_waiting:
        route.output.write("one\n" * 1000)
        written += b"one\n" * 1000
    route.error.write("two\n")
    assert route.is_waiting
    found = read(pipe[0])
    getattr(route, how)()
    while data := read(pipe[0]):
        found += data
    assert not route.is_waiting
    assert (found, (tmp_path / "2").read_bytes()) == (written, b"two\n")


def test_of_a_log_that_is_rotated_both_streams_follow(tmp_path: Path) -> None:
    for number in ("1", "2"):
        (tmp_path / number).touch()
    route = LogRoute(str(tmp_path))
    for number in ("1", "2"):
        (tmp_path / number).rename(tmp_path / f"{number}.old")
        (tmp_path / number).touch()
    route.tend()
    route.output.write("one\n")
    route.error.write("two\n")
    assert [(tmp_path / number).read_text() for number in ("1", "2")] == ["one\n", "two\n"]
