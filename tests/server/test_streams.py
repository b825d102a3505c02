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
from bascule.streams import Output

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
    received = read(pipe[0])
    writer.join(20)
    assert (received + read(pipe[0])).endswith(b"one\n")
    assert lost() == before


def test_what_follows_half_a_line_begins_a_line(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PATIENCE", 0.0)
    size = fill(pipe[1])
    os.read(pipe[0], select.PIPE_BUF)
    output = Output(pipe[1])
    output.write("x" * 2 * select.PIPE_BUF + "\n")
    read(pipe[0])
    output.write("after\n")
    assert size
    assert read(pipe[0]) == b"\nafter\n"


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
own = streams.own(1)
print("first", flush=True)
os.close(1)
one, two = os.pipe()
assert one == 1
moved = streams.evade(one)
assert moved > 2, moved
print("second", flush=True)
for number in (0, 1, 2):
    os.close(number)
streams.restore()
print("third", flush=True)
sys.stdout = None
own.write("fourth\\n")
"""


def test_the_standard_descriptors_are_no_others_and_come_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STANDARD], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["first", "second", "third", "fourth"]


def test_streams_that_there_are_none_of_are_there() -> None:
    code = "from bascule import streams; import sys; streams.secure(); print(sys.stdin.read())"
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, code], cwd=ROOT, check=False
    )
    assert done.returncode == 0


def test_a_socket_keeps_a_number_that_is_no_standard_one() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert streams.evade(ours.fileno()) == ours.fileno()
