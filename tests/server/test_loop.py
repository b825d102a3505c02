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
from contextlib import ExitStack
from pathlib import Path

import pytest
from bascule.engine.loop import (
    CHEAP,
    FAILED_EVENTS,
    FAILED_TURNS,
    MAX_EVENTS,
    READABLE,
    SHARE_BEHIND,
    WRITABLE,
    Loop,
)
from bascule.errors import LoopError
from bascule.guard import places

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


class Ready:
    """Descriptors that are always ready, and which of them were handled, in order."""

    def __init__(self, stack: ExitStack, loop: Loop) -> None:
        self._stack = stack
        self._loop = loop
        self.handled: list[int] = []

    def add(self, cost: int = 0) -> int:
        """Add one whose handler asks to be behind for this cost, if it is any; return it."""
        ours, theirs = (self._stack.enter_context(each) for each in socket.socketpair())
        theirs.send(b"x")
        descriptor = ours.fileno()

        def handle(_mask: int) -> None:
            self.handled.append(descriptor)
            if cost:
                self._loop.put_behind(descriptor, cost)

        self._loop.register(descriptor, handle)
        return descriptor

    def turn(self, *, wait: bool = True) -> list[int]:
        """Return what the next turn handles."""
        self.handled.clear()
        self._loop.poll(wait=wait)
        return self.handled.copy()


@pytest.fixture
def ready(loop: Loop) -> Iterator[Ready]:
    with ExitStack() as stack:
        yield Ready(stack, loop)


def test_one_costly_event_at_the_most_is_handled_before_a_cheap_one(ready: Ready) -> None:
    costly = [ready.add(2 * SHARE_BEHIND) for _ in range(20)]
    cheap = ready.add()
    for _ in range(2):  # in the first they are in front, and the second only notes
        ready.turn()
    turns = [ready.turn() for _ in range(3 * len(costly))]
    assert all(len(turn) == 2 and turn[1] == cheap for turn in turns)
    served = [turn[0] for turn in turns]
    assert sorted(served[:20]) == sorted(costly)
    assert served == 3 * served[:20]


@pytest.mark.parametrize(
    ("cost", "events"), [(SHARE_BEHIND // 5 + 1, 5), (SHARE_BEHIND - 1, 2), (SHARE_BEHIND, 1)]
)
def test_as_many_costly_events_are_handled_in_a_turn_as_its_share_is_enough_for(
    ready: Ready, cost: int, events: int
) -> None:
    for _ in range(20):
        ready.add(cost)
    for _ in range(2):
        ready.turn()
    assert len(ready.turn()) == events


def test_who_waits_behind_for_several_turns_waits_once(ready: Ready) -> None:
    first, second = ready.add(SHARE_BEHIND), ready.add(SHARE_BEHIND // 2)
    for _ in range(2):  # in the first they are in front, and the second only notes
        ready.turn()
    turns = [ready.turn() for _ in range(4)]
    assert turns == 2 * [[first], [second, first]]


def test_as_many_cheap_events_are_handled_behind_as_its_share_is_enough_for(
    ready: Ready, loop: Loop
) -> None:
    many = 2 * SHARE_BEHIND // CHEAP
    for _ in range(many):
        loop.put_behind(ready.add(), 1)
    ready.turn()
    first = ready.turn()
    assert len(first) == SHARE_BEHIND // CHEAP + SHARE_BEHIND // CHEAP  # behind, and then in front
    assert len(set(first)) == SHARE_BEHIND // CHEAP


def test_what_is_put_behind_waits_until_its_handler_does_not_ask_again(
    ready: Ready, loop: Loop
) -> None:
    descriptor = ready.add()
    loop.put_behind(descriptor, 1)
    assert ready.turn() == []
    assert ready.turn() == [descriptor, descriptor]  # behind for the last time, and as usual
    assert ready.turn() == [descriptor]


def test_a_handler_may_ask_to_stay_behind(
    ready: Ready, loop: Loop, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    theirs.send(b"x")
    usual = ready.add()
    asks = [True, True, True, False, False]

    def handle(mask: int) -> None:
        assert mask == READABLE
        ready.handled.append(ours.fileno())
        if asks.pop(0):
            loop.put_behind(ours.fileno(), 1)

    loop.register(ours.fileno(), handle)
    assert sorted(ready.turn()) == sorted([usual, ours.fileno()])  # it asks as it is first
    assert ready.turn() == [usual]
    for _ in range(2):
        assert ready.turn() == [ours.fileno(), usual]
    assert ready.turn()[0] == ours.fileno()
    assert not asks


def test_others_are_reported_however_many_are_behind(ready: Ready, loop: Loop) -> None:
    for _ in range(2 * MAX_EVENTS):
        loop.put_behind(ready.add(2 * SHARE_BEHIND), 1)
    usual = ready.add()
    for _ in range(3):  # until all were reported
        ready.turn()
    assert all(ready.turn()[1:] == [usual] for _ in range(8))


def test_a_turn_does_not_wait_for_more_events_while_some_are_behind(
    loop: Loop, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    seen: list[bytes] = []
    loop.register(ours.fileno(), lambda _: seen.append(ours.recv(1)))
    loop.put_behind(ours.fileno(), 1)
    theirs.send(b"x")
    loop.poll()
    loop.poll()  # and returns, though nothing is ready any more
    assert seen == [b"x"]


def test_what_is_unregistered_while_it_is_behind_is_not_handled(ready: Ready, loop: Loop) -> None:
    descriptor = ready.add()
    loop.put_behind(descriptor, 1)
    assert ready.turn() == []
    loop.unregister(descriptor)
    assert ready.turn() == []
    seen: list[int] = []
    loop.register(descriptor, seen.append)
    assert ready.turn() == []
    assert seen == [READABLE]


def test_what_is_unregistered_while_it_is_behind_keeps_nobody_waiting(
    ready: Ready, loop: Loop
) -> None:
    both = [ready.add(), ready.add()]
    for descriptor in both:
        loop.put_behind(descriptor, 1)
    assert ready.turn() == []
    loop.unregister(both[0])
    assert ready.turn() == [both[1], both[1]]  # behind for the last time, and as usual


def test_what_is_called_behind_is_called_without_an_event_and_once(
    ready: Ready, loop: Loop, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    usual = ready.add()
    seen: list[str] = []

    def first(mask: int) -> None:
        assert mask == 0
        seen.append("first")
        loop.hand_over(ours.fileno(), lambda _: seen.append("later"))

    loop.register(ours.fileno(), lambda _: seen.append("never"))
    loop.call_behind(ours.fileno(), first)
    loop.poll()
    assert (seen, ready.handled) == (["first"], [usual])
    theirs.send(b"x")
    loop.poll()
    assert seen == ["first", "later"]


def test_another_handler_can_take_over(
    loop: Loop, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    theirs.send(b"x")
    seen: list[str] = []

    def first(_mask: int) -> None:
        seen.append("first")
        loop.hand_over(ours.fileno(), lambda _: seen.append("later"))

    loop.register(ours.fileno(), first)
    for _ in range(3):
        loop.poll()
    assert seen == ["first", "later", "later"]


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
    signals: list[int] = []
    loop.on_signal = signals.append
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
    assert (seen, signals) == (list(range(1000)), [])


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


def test_it_waits_for_its_tick_where_nothing_happens() -> None:
    loop = Loop(0.01)
    ticks: list[float] = []
    loop.on_tick = lambda: ticks.append(loop.now)
    loop.poll()
    loop.close()
    assert len(ticks) == 1


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


# --- signals -------------------------------------------------------------------------------------

# In a process of its own: a loop whose leader is a thread, and ``take``, which returns once a signal
# that this process sends itself has been reported.
SIGNALLED = """
import os, queue, signal, sys, threading
from bascule.engine.loop import Loop

TAKEN = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
loop = Loop(600.0)
seen = queue.SimpleQueue()
loop.on_signal = seen.put
loop.watch_signals(*TAKEN)

def lead():
    while True:
        loop.poll()

def take(number):
    os.kill(os.getpid(), number)
    assert seen.get(timeout=30) == number

def led():
    threading.Thread(target=lead, daemon=True).start()
"""


def signalled(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SIGNALLED + script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_signals_are_reported_to_the_leader_and_a_second_sigint_ends_the_process() -> None:
    done = signalled("""
led()
for number in TAKEN:
    take(number)
loop.watch_signals(*TAKEN)
os.kill(os.getpid(), signal.SIGINT)
threading.Event().wait(30)
""")
    assert (done.stdout, done.stderr, done.returncode) == ("", "", -signal.SIGINT)


@pytest.mark.parametrize(
    "taken_away",
    [
        "signal.signal(signal.SIGTERM, signal.SIG_DFL)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, TAKEN)",
        "signal.raise_signal(signal.SIGINT); signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    ],
)
def test_signals_that_somebody_has_taken_away_are_taken_back(taken_away: str) -> None:
    done = signalled(f"""
{taken_away}
loop.poll(wait=False)
while not seen.empty():
    seen.get()
led()
loop.watch_signals(*TAKEN)
take(signal.SIGTERM)
""")
    assert (done.stderr, done.returncode) == ("", 0)


def test_a_signal_is_reported_where_somebody_has_taken_the_wake_up_pipe_away() -> None:
    done = signalled("""
led()
signal.set_wakeup_fd(-1)
take(signal.SIGTERM)
take(signal.SIGTERM)
""")
    assert (done.stderr, done.returncode) == ("", 0)


def test_a_signal_is_reported_while_the_main_thread_is_in_c_code_and_stays_there() -> None:
    done = signalled("""
import ctypes
mutex, condition = (ctypes.create_string_buffer(256) for _ in range(2))
c = ctypes.CDLL(None)

def ask():
    c.pthread_mutex_lock(mutex)  # which the main thread gives back when it waits
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    assert seen.get(timeout=30) == signal.SIGTERM
    os._exit(0)

led()
c.pthread_mutex_lock(mutex)
threading.Thread(target=ask).start()
c.pthread_cond_wait(condition, mutex)  # for ever
""")
    assert (done.stderr, done.returncode) == ("", 0)


def test_more_signals_than_the_pipe_takes_are_no_mistake() -> None:
    done = signalled("""
for _ in range(2):
    for _ in range(70_000):
        signal.raise_signal(signal.SIGUSR1)
    loop.watch_signals(*TAKEN)
signal.raise_signal(signal.SIGUSR1)
loop.poll(wait=False)
assert seen.get(timeout=30) == signal.SIGUSR1
""")
    assert (done.stderr, done.returncode) == ("", 0)


def test_a_signal_after_the_end_of_the_loop_is_written_nowhere() -> None:
    done = signalled("""
loop.close()
reader, _ = os.pipe2(os.O_NONBLOCK)
os.pipe2(os.O_NONBLOCK)
for _ in range(2):
    signal.raise_signal(signal.SIGUSR1)
try:
    print(os.read(reader, 9))
except BlockingIOError:
    pass
""")
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_what_a_signal_asks_for_may_fail() -> None:
    done = signalled("""
from bascule import guard
told = []
guard.tell(told.append)
loop.on_signal = lambda number: seen.put(number) or 1 / 0
for number in (signal.SIGTERM, signal.SIGUSR1):
    signal.raise_signal(number)
loop.poll()
assert [seen.get(timeout=30) for _ in range(2)] == [signal.SIGTERM, signal.SIGUSR1]
assert [each.place for each in told] == ["signal"]
""")
    assert (done.stderr, done.returncode) == ("", 0)


# --- what fails ----------------------------------------------------------------------------------


class Mistake(BaseException):  # as an application's may be named
    """What no handler of ours would raise."""


def fail(*_arguments: int) -> None:
    raise Mistake


def failures(name: str) -> int:
    (place,) = [each for each in places() if each.name == name]
    return place.count


def test_a_handler_that_fails_keeps_no_other_from_its_event(
    loop: Loop, ready: Ready, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    theirs.send(b"x")
    before = failures("handler")
    loop.register(ours.fileno(), fail)
    others = [ready.add(0.0) for _ in range(3)]
    assert sorted(ready.turn()) == sorted(others)
    assert failures("handler") == before + 1


def test_a_handler_that_only_fails_is_called_no_more(
    loop: Loop, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    theirs.send(b"x")
    before = failures("handler")
    loop.register(ours.fileno(), fail)
    for _ in range(FAILED_EVENTS + 5):
        loop.poll(wait=False)
    assert failures("handler") == before + FAILED_EVENTS


def test_a_handler_that_fails_now_and_then_is_called_again(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    theirs.send(b"x")
    before = failures("handler")
    loop = Loop(0.0)  # each turn comes to its tick
    loop.register(ours.fileno(), fail)
    for _ in range(FAILED_EVENTS + 5):
        loop.poll(wait=False)
    loop.close()
    assert failures("handler") == before + FAILED_EVENTS + 5


@pytest.mark.parametrize("behind", [True, False])
def test_a_handler_that_fails_in_front_or_behind_is_noted(
    loop: Loop, ready: Ready, pair: tuple[socket.socket, socket.socket], *, behind: bool
) -> None:
    ours, theirs = pair
    theirs.send(b"x")
    usual = ready.add()
    before = failures("handler")
    loop.register(ours.fileno(), fail)
    if behind:
        loop.put_behind(ours.fileno(), 1)
        ready.turn()
    assert ready.turn() == [usual]
    assert failures("handler") == before + (2 if behind else 1)  # behind, and then as usual


def test_a_call_that_fails_keeps_no_other_from_being_made(loop: Loop) -> None:
    seen: list[int] = []
    before = failures("call")
    for call in (fail, lambda: seen.append(1), fail, lambda: seen.append(2)):
        loop.call_soon(call)
    loop.poll()
    assert seen == [1, 2]
    assert failures("call") == before + 2


def test_a_tick_that_fails_is_followed_by_the_next() -> None:
    loop = Loop(0.01)
    ticks: list[float] = []

    def tick() -> None:
        ticks.append(loop.now)
        raise Mistake

    loop.on_tick = tick
    before = failures("tick")
    while len(ticks) < 3:
        loop.poll()
    loop.close()
    assert failures("tick") == before + 3


def test_a_turn_that_fails_is_followed_by_the_next(
    loop: Loop, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    seen: list[int] = []
    loop.register(ours.fileno(), seen.append)
    theirs.send(b"x")

    def on_turn() -> float:
        loop.on_turn = lambda: 0.0
        raise Mistake

    loop.on_turn = on_turn
    before = failures("turn")
    loop.poll()
    assert (seen, failures("turn")) == ([], before + 1)
    loop.poll()
    assert seen == [READABLE]


def test_a_loop_whose_turns_only_fail_says_so() -> None:
    loop = Loop(NEVER)
    loop.on_turn = fail  # type: ignore[assignment]
    for _ in range(FAILED_TURNS - 1):
        loop.poll()
    with pytest.raises(LoopError) as caught:
        loop.poll()
    assert isinstance(caught.value.__cause__, Mistake)
    loop.close()


def test_turns_may_fail_again_once_one_has_come_to_its_tick() -> None:
    loop = Loop(0.0)
    usual = loop.on_turn
    for _ in range(2):
        loop.on_turn = fail  # type: ignore[assignment]
        for _ in range(FAILED_TURNS - 1):
            loop.poll()
        loop.on_turn = usual
        loop.poll()
    loop.close()
