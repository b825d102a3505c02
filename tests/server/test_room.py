"""Room for new connections: who has waited longest makes it, who has a request does not."""

from __future__ import annotations

import logging
import random
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from bascule.engine.room import EVENT_INTERVAL, Room
from bascule.engine.service import NEVER
from bascule.told import event_log
from hypothesis import given
from hypothesis import strategies as st


class Client:
    """A connection that says since when it waits, and whether it was closed."""

    is_idle = True
    request = None
    deadline = NEVER

    def __init__(self, open_ones: set[Client], waits_since: float) -> None:
        self.waited = waits_since
        self.looks = 0
        self._open_ones = open_ones
        open_ones.add(self)

    @property
    def waits_since(self) -> float:
        self.looks += 1
        return self.waited

    def on_deadline(self) -> None:
        raise AssertionError("no deadline has passed")

    def let_go(self) -> None:
        raise AssertionError("nothing is forked")

    def close(self) -> None:
        self._open_ones.discard(self)
        self.waited = NEVER


def test_room_is_left_until_as_many_are_open_as_may_be() -> None:
    clients: set[Client] = set()
    room = Room(clients, 2)
    assert room.is_left
    Client(clients, 1.0)
    assert room.is_left
    Client(clients, 2.0)
    assert not room.is_left


def test_without_a_number_it_is_most_of_the_open_files(monkeypatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _which: (1024, 4096))
    clients: set[Client] = set()
    room = Room(clients, 0)
    while room.is_left:
        Client(clients, NEVER)
    assert len(clients) == 1024 - 128 - 16


def test_where_there_is_no_limit_of_open_files_there_is_room(monkeypatch) -> None:
    unlimited = resource.RLIM_INFINITY
    monkeypatch.setattr("resource.getrlimit", lambda _which: (unlimited, unlimited))
    clients: set[Client] = set()
    for _ in range(5000):
        Client(clients, NEVER)
    assert Room(clients, 0).is_left


def test_where_hardly_any_file_may_be_open_there_is_room_for_one(monkeypatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _which: (8, 8))
    clients: set[Client] = set()
    room = Room(clients, 0)
    assert room.is_left
    Client(clients, NEVER)
    assert not room.is_left


def test_who_has_waited_longest_makes_room_and_requests_do_not() -> None:
    clients: set[Client] = set()
    busy = [Client(clients, NEVER) for _ in range(16)]
    waiting = [Client(clients, float(since)) for since in range(48)]
    room = Room(clients, 64)
    for closed in range(1, 49):
        assert room.make(100.0)
        assert clients == {*busy, *waiting[closed:]}
    assert not room.make(100.0)
    assert clients == set(busy)


def test_who_was_served_meanwhile_counts_anew() -> None:
    clients: set[Client] = set()
    waiting = [Client(clients, float(since)) for since in range(64)]
    room = Room(clients, 64)
    assert room.make(100.0)
    waiting[1].waited = NEVER
    waiting[2].waited = 64.0
    assert room.make(100.0)
    assert clients == {*waiting[1:3], *waiting[4:]}
    while room.make(100.0):
        pass
    assert clients == {waiting[1]}


@given(count=st.integers(1, 150), seed=st.integers(0, 1 << 32))
def test_whatever_happens_meanwhile_it_is_who_has_waited_longest(count: int, seed: int) -> None:
    clients: set[Client] = set()
    everybody = [Client(clients, float(since)) for since in range(count)]
    room = Room(clients, count)
    chance = random.Random(seed)
    for now in range(count, count + 500):
        which = chance.randrange(count)
        match chance.choice(["is served", "has a request", "somebody comes"]):
            case "is served":
                everybody[which].waited = float(now)
            case "has a request":
                everybody[which].waited = NEVER
            case _:
                waiting = [each for each in everybody if each.waited != NEVER]
                longest = min(waiting, key=lambda each: each.waited, default=None)
                assert room.make(now) == (longest is not None)
                if longest:
                    assert clients == {*everybody} - {longest}
                    everybody[everybody.index(longest)] = Client(clients, float(now))


def test_a_flood_does_not_have_all_connections_looked_at_at_once() -> None:
    clients: set[Client] = set()
    for since in range(2000):
        Client(clients, float(since))
    room = Room(clients, 2000)
    assert room.make(2000.0)  # the first of a flood
    for now in range(2000, 12_000):
        Client(clients, float(now))
        before = sum(each.looks for each in clients)
        assert room.make(now + 1.0)
        assert sum(each.looks for each in clients) - before < 40


def test_who_leaves_in_crowds_while_a_look_goes_on_hides_nobody_who_waits() -> None:
    clients: set[Client] = set()
    longest = [Client(clients, float(since)) for since in range(64)]
    room = Room(clients, 1000)
    assert room.make(64.0)
    crowd = [Client(clients, 65.0) for _ in range(640)]
    assert room.make(66.0)  # a look at all begins
    for each in longest:
        each.waited = NEVER
    for each in crowd[5:]:
        each.close()
    for left in (4, 3, 2, 1, 0):
        assert room.make(67.0)
        assert sum(each.waited != NEVER for each in crowd) == left
    assert not room.make(67.0)


def test_who_came_in_the_same_turn_stays() -> None:
    clients: set[Client] = set()
    Client(clients, 100.0)
    assert not Room(clients, 1).make(100.0)


def test_closing_is_logged_once_a_second_with_the_number(caplog: pytest.LogCaptureFixture) -> None:
    clients: set[Client] = set()
    for since in range(3):
        Client(clients, float(since))
    room = Room(clients, 3)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            room.make(100.0)
        event_log.settle()
        assert len(caplog.records) == 1
        room.report(100.0 + EVENT_INTERVAL)
        room.report(100.0 + EVENT_INTERVAL)
        event_log.settle()
    assert [each.closed for each in caplog.records] == [1, 2]


@pytest.mark.parametrize(
    ("connections", "room"),
    [
        (512 - 16, 512),  # and 16 for the process itself
        (512 - 15, 1024),
        (1 << 20, 16_384),  # no more are worth their memory
    ],
)
def test_the_kernel_s_table_has_room_from_the_start(connections: int, room: int) -> None:
    # The table that a process begins with is as large as what is open in the one it is forked from.
    code = f"""
import os, resource, sys
from bascule.engine.room import Room
if pid := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
Room(set(), {connections}).reserve()
with open("/proc/self/status") as status:
    print(*(line.split()[1] for line in status if line.startswith("FDSize:")))
"""
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout == f"{room}\n"


def test_to_reserve_more_than_the_limit_of_open_files_leaves_none_open_and_is_no_error() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = sorted(Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
    try:
        Room(set(), 5000).reserve()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert sorted(Path("/proc/self/fd").iterdir()) == opened
