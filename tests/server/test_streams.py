"""What the server writes to: descriptors of its own, where what cannot be written costs lines."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bascule import streams
from bascule.guard import places
from bascule.streams import WRITE_SIZE, Output

from tests.server.pipes import read

ROOT = Path(__file__).parents[2]


(OUTPUT,) = [each for each in places() if each.name == "output"]


def lost() -> int:
    """Return how often anything could not be written."""
    return OUTPUT.count


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    yield reader, writer
    for each in (reader, writer):
        os.close(each)


def fill(writer: int) -> int:
    """Fill a pipe; return how many bytes it took."""
    os.set_blocking(writer, False)
    size = 0
    try:
        while True:
            size += os.write(writer, b"." * select.PIPE_BUF)
    except BlockingIOError:
        os.set_blocking(writer, True)
        return size


def test_lines_are_written_as_they_are(pipe: tuple[int, int]) -> None:
    output = Output(pipe[1])
    output.write("one\ntwo: 小明\n")
    output.write("\udce9\n")
    assert read(pipe[0]) == "one\ntwo: 小明\n\\udce9\n".encode()


def test_a_file_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        Output(file.fileno()).write("one\n" * WRITE_SIZE)
    assert path.read_text() == "one\n" * WRITE_SIZE


@pytest.fixture
def packets() -> Iterator[tuple[int, int]]:
    """A pipe that keeps what is written at once apart (pipe(2), ``O_DIRECT``)."""
    reader, writer = os.pipe2(os.O_DIRECT | os.O_NONBLOCK)
    yield reader, writer
    for each in (reader, writer):
        os.close(each)


LINE = "x" * (WRITE_SIZE - 1) + "\n"


@pytest.mark.parametrize(
    "written",
    [
        ["one\ntwo\n"],
        [LINE],
        [LINE, "one\n"],
        ["one\n", LINE],
        ["one\n" * (WRITE_SIZE // 4), "two\n"],
        ["x" * 3000 + "\ny\n", "x" * 3000 + "\n", "x" * 3000 + "\n"],
        ["\n", LINE],
        ["x" * WRITE_SIZE, "\n"],
        ["x" * WRITE_SIZE, "xx\n", "one\n"],
    ],
)
def test_as_many_whole_lines_are_written_at_once_as_the_kernel_keeps_together(
    packets: tuple[int, int], written: list[str]
) -> None:
    Output(packets[1]).write("".join(written))
    assert [os.read(packets[0], 1 << 16).decode() for _ in written] == written
    with pytest.raises(BlockingIOError):
        os.read(packets[0], 1)


def test_a_full_pipe_is_waited_for_once(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PATIENCE", 0.2)
    fill(pipe[1])
    before = lost()
    output = Output(pipe[1])
    began = time.monotonic()
    output.write("one\n")
    assert time.monotonic() - began >= 0.2
    monkeypatch.setattr(streams, "PATIENCE", 600.0)
    output.write("two\n")  # and returns
    assert (lost() - before, OUTPUT.error) == (2, "BlockingIOError: nobody reads it")
    read(pipe[0])
    output.write("three\n")
    assert read(pipe[0]) == b"three\n"


def test_a_reader_that_reads_in_time_misses_nothing(pipe: tuple[int, int]) -> None:
    fill(pipe[1])
    before = lost()
    output = Output(pipe[1])
    writer = threading.Thread(target=output.write, args=("one\n",))
    writer.start()
    while writer.is_alive() and not blocked(writer):
        time.sleep(0.001)
    received = read(pipe[0])
    writer.join(20)
    assert (received + read(pipe[0])).endswith(b"one\n")
    assert lost() == before


def test_what_follows_half_a_line_begins_a_line(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PATIENCE", 0.0)
    fill(pipe[1])
    os.read(pipe[0], select.PIPE_BUF)
    output = Output(pipe[1])
    output.write("x" * 2 * select.PIPE_BUF + "\n")
    output.write("lost as well\n")
    read(pipe[0])
    output.write("after\n")
    output.write("and so on\n")
    assert read(pipe[0]) == b"\nafter\nand so on\n"


def test_what_follows_a_line_that_is_lost_is_a_line(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PATIENCE", 0.0)
    fill(pipe[1])
    output = Output(pipe[1])
    output.write("lost\n")
    read(pipe[0])
    output.write("after\n")
    assert read(pipe[0]) == b"after\n"


def test_a_pipe_without_a_reader_and_a_full_disk_cost_lines() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open("/dev/full", "wb") as full:  # noqa: PTH123  # its descriptor is what is wanted
        for descriptor in (writer, full.fileno()):
            before = lost()
            Output(descriptor).write("one\n")
            assert lost() == before + 1
    os.close(writer)


def test_a_forked_process_does_not_wait_for_a_lock_that_nobody_holds_there(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(pipe[1])
    monkeypatch.setattr(streams, "PATIENCE", 600.0)
    output = Output(pipe[1])
    waits = threading.Thread(target=output.write, args=("one\n",), daemon=True)
    waits.start()
    while waits.is_alive() and not blocked(waits):
        time.sleep(0.001)
    child = os.fork()
    if not child:
        monkeypatch.setattr(streams, "PATIENCE", 0.0)
        output.write("two\n")
        os._exit(7)
    read(pipe[0])
    waits.join(20)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def blocked(thread: threading.Thread) -> bool:
    """Return whether a thread waits in the kernel for a pipe."""
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code.co_name == "_wait"


STANDARD = """
import os, sys
from bascule import streams
streams.secure()
print("first", flush=True)
for number in (0, 1, 2):
    os.close(number)
    one, other = os.pipe()
    assert one == number
    moved = streams.evade(one)
    assert moved > 2, moved
    os.write(other, b"x")
    assert os.read(moved, 1) == b"x"
    for each in (moved, other):
        os.close(each)
print("second", flush=True)
print("an error", file=sys.stderr, flush=True)
before = os.listdir("/proc/self/fd")
for number in (0, 1, 2):
    os.close(number)
accepted = os.pipe()
assert accepted == (0, 1)
for moved in [streams.evade(each) for each in accepted]:
    assert moved > 2, moved
    os.close(moved)
streams.restore()
assert os.listdir("/proc/self/fd") == before
assert os.readlink("/proc/self/fd/0") == "/dev/null"
assert [os.get_inheritable(number) for number in (0, 1, 2)] == [True] * 3
print("third", flush=True)
sys.stdout = None
streams.own(1).write("fourth\\n")
"""


def test_the_standard_descriptors_are_no_others_and_come_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STANDARD], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["first", "second", "third", "fourth"]
    assert done.stderr == "an error\n"


WITHOUT = """
import os, sys
from bascule import streams
streams.secure()
assert sys.stdin.read() == ""
for name in ("stdin", "stdout", "stderr"):
    stream = getattr(sys, name)
    assert getattr(sys, f"__{name}__") is stream
    number = stream.fileno()
    stream.close()
    assert os.readlink(f"/proc/self/fd/{number}") == "/dev/null"
    assert os.get_inheritable(number)
"""


def test_streams_that_there_are_none_of_are_there() -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, WITHOUT],
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0


# Buffered, whatever the environment says.
PRINTED = """
import sys
from bascule import streams
sys.stdout = open(1, "w", closefd=False)
print("one")
streams.flush()
"""


def test_what_was_printed_is_flushed() -> None:
    code = f"{PRINTED}\nimport os; os._exit(0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert done.stdout == b"one\n"


def test_what_cannot_be_flushed_does_not_change_the_exit_status() -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123  # its descriptor is what is wanted
        done = subprocess.run(
            [sys.executable, "-c", PRINTED],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_socket_keeps_a_number_that_is_no_standard_one() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert streams.evade(ours.fileno()) == ours.fileno()
