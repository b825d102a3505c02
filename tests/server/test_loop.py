"""The event loop: handlers, calls from other threads, ticks and signals."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.loop import READABLE, WRITABLE, Loop

ROOT = Path(__file__).parents[2]

# Longer than any test may take: who waits for a tick of this length was not woken.
NEVER = 600.0


@pytest.fixture
def loop() -> Iterator[Loop]:
    found = Loop(NEVER)
    yield found
    found.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    yield ours, theirs
    ours.close()
    theirs.close()


def test_a_handler_is_called_when_its_descriptor_is_ready(
    loop: Loop, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    seen: list[int] = []
    loop.register(ours.fileno(), seen.append)
    loop.poll(wait=False)
    assert seen == []
    theirs.send(b"x")
    loop.poll()
    assert seen == [READABLE]


def test_a_descriptor_is_reported_as_long_as_it_is_ready(
    loop: Loop, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    seen: list[int] = []
    loop.register(ours.fileno(), seen.append)
    theirs.send(b"x")
    loop.poll()
    loop.poll()
    ours.recv(1)
    loop.poll(wait=False)
    assert seen == [READABLE, READABLE]


def test_what_is_waited_for_may_change(
    loop: Loop, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, _ = pair
    seen: list[int] = []
    loop.register(ours.fileno(), seen.append)
    loop.modify(ours.fileno(), WRITABLE)
    loop.poll()
    loop.modify(ours.fileno(), READABLE)
    loop.poll(wait=False)
    assert seen == [WRITABLE]


def test_a_descriptor_that_is_unregistered_is_not_reported(
    loop: Loop, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    seen: list[int] = []
    loop.register(ours.fileno(), seen.append)
    loop.unregister(ours.fileno())
    loop.unregister(ours.fileno())
    theirs.send(b"x")
    loop.poll(wait=False)
    assert seen == []
    loop.register(ours.fileno(), seen.append)
    loop.poll()
    assert seen == [READABLE]


def test_the_end_of_the_other_side_is_reported(
    loop: Loop, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    seen: list[int] = []
    loop.register(ours.fileno(), seen.append)
    theirs.close()
    loop.poll()
    assert seen[0] & select.EPOLLHUP


def test_a_handler_that_was_closed_in_the_same_turn_is_not_called(loop: Loop) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    called: list[int] = []

    def closing(mine: int, other: int) -> None:
        called.append(mine)
        loop.unregister(pairs[other][0].fileno())
        pairs[other][0].close()

    loop.register(pairs[0][0].fileno(), lambda _: closing(0, 1))
    loop.register(pairs[1][0].fileno(), lambda _: closing(1, 0))
    for _, theirs in pairs:
        theirs.send(b"x")
    loop.poll()
    assert len(called) == 1
    for each in pairs:
        each[0].close()
        each[1].close()


def test_calls_are_made_in_the_order_in_which_they_were_asked_for(loop: Loop) -> None:
    seen: list[int] = []
    for number in range(5):
        loop.call_soon(lambda number=number: seen.append(number))
    loop.poll()
    assert seen == [0, 1, 2, 3, 4]


def test_a_call_that_asks_for_another_leaves_it_to_the_next_turn(loop: Loop) -> None:
    seen: list[str] = []

    def first() -> None:
        seen.append("first")
        loop.call_soon(lambda: seen.append("second"))

    loop.call_soon(first)
    loop.poll()
    assert seen == ["first"]
    loop.poll()
    assert seen == ["first", "second"]


def test_a_call_from_another_thread_wakes_a_loop_that_waits(loop: Loop) -> None:
    seen: list[int] = []
    polled = threading.Event()

    def lead() -> None:
        while len(seen) < 1000:
            loop.poll()
        polled.set()

    leader = threading.Thread(target=lead, daemon=True)
    leader.start()
    for number in range(1000):
        done = threading.Event()
        loop.call_soon(lambda number=number, done=done: (seen.append(number), done.set()))
        assert done.wait(30), f"call {number} was never made"
    assert polled.wait(30)
    leader.join(30)
    assert seen == list(range(1000))


def test_calls_of_many_threads_are_all_made(loop: Loop) -> None:
    seen: list[tuple[int, int]] = []
    all_done = threading.Event()

    def ask(thread: int) -> None:
        for number in range(500):
            loop.call_soon(lambda number=number: seen.append((thread, number)))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]

    def lead() -> None:
        while len(seen) < 2000:
            loop.poll()
        all_done.set()

    leader = threading.Thread(target=lead, daemon=True)
    leader.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert all_done.wait(30)
    leader.join(30)
    for thread_number in range(4):
        assert [each[1] for each in seen if each[0] == thread_number] == list(range(500))


def test_a_tick_is_due_even_when_nothing_happens() -> None:
    loop = Loop(0.01)
    ticks: list[float] = []
    loop.on_tick = lambda: ticks.append(loop.now)
    while len(ticks) < 3:
        loop.poll()
    loop.close()
    assert ticks == sorted(ticks)
    assert ticks[1] - ticks[0] >= 0.01
    assert ticks[2] - ticks[1] >= 0.01


def test_it_waits_no_longer_than_it_is_told_at_the_beginning_of_a_turn(loop: Loop) -> None:
    turns: list[float] = []

    def on_turn() -> float:
        turns.append(0.001)
        return turns[-1]

    loop.on_turn = on_turn
    loop.poll()  # and returns, though the tick is far away
    assert turns == [0.001]


def test_a_busy_loop_ticks_as_well(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    loop = Loop(0.01)
    ticks: list[float] = []
    loop.on_tick = lambda: ticks.append(loop.now)
    loop.register(ours.fileno(), lambda _: None)
    theirs.send(b"x")  # never read: the descriptor is always ready
    while len(ticks) < 3:
        loop.poll()
    loop.close()


def test_a_loop_gives_its_descriptors_back() -> None:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    Loop(NEVER).close()
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


SIGNALLED = """
import os, signal, threading
from server.loop import Loop

loop = Loop(600.0)
seen = []
loop.on_signal = seen.append
loop.watch_signals(signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
release = threading.Event()

def lead():
    while len(seen) < 3:
        loop.poll()
    release.set()

threading.Thread(target=lead, daemon=True).start()
for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
    os.kill(os.getpid(), number)
assert release.wait(30)
print(sorted(int(number) for number in seen), flush=True)
os.kill(os.getpid(), signal.SIGINT)
release.clear()
release.wait(30)
print("still here", flush=True)
"""


def test_signals_are_reported_to_the_leader_and_a_second_sigint_ends_the_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    expected = sorted(int(each) for each in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT))
    assert done.stdout == f"{expected}\n", done.stderr
    assert done.returncode == -signal.SIGINT
