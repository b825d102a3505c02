"""Deadlines: all that have passed are acted on, and many at once hold nobody up."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from bascule.engine.deadlines import DEADLINES_A_TURN, Deadlines
from bascule.engine.loop import Loop

NEVER = 600.0


class Client:
    """A connection that notes when its deadline is acted on."""

    is_idle = True
    waits_since = 0.0
    request = None

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.acted = 0

    def on_deadline(self) -> None:
        self.acted += 1
        self.deadline = float("inf")

    def let_go(self) -> None:
        raise AssertionError("nothing is forked")

    def close(self) -> None:
        raise AssertionError("a deadline is the connection's own affair")


@pytest.fixture
def loop() -> Iterator[Loop]:
    found = Loop(NEVER)
    yield found
    found.close()


def test_what_is_due_is_acted_on_once_and_nothing_else(loop: Loop) -> None:
    due, later = Client(loop.now), Client(loop.now + NEVER)
    deadlines = Deadlines(loop, {due, later})
    for _ in range(3):
        deadlines.sweep()
        loop.poll(wait=False)
    assert due.acted == 1
    assert later.acted == 0


def test_many_at_once_are_acted_on_over_several_turns(loop: Loop) -> None:
    clients = {Client(loop.now) for _ in range(3 * DEADLINES_A_TURN + 1)}
    Deadlines(loop, clients).sweep()
    for turn in (1, 2, 3):
        assert sum(each.acted for each in clients) == turn * DEADLINES_A_TURN
        loop.poll()  # does not wait: there is more to do
    assert all(each.acted == 1 for each in clients)


def test_who_speaks_while_others_are_acted_on_is_heard_in_between(loop: Loop) -> None:
    clients = {Client(loop.now) for _ in range(3 * DEADLINES_A_TURN)}
    ours, theirs = socket.socketpair()
    heard: list[int] = []
    loop.register(ours.fileno(), lambda _mask: heard.append(sum(each.acted for each in clients)))
    theirs.send(b"x")
    with ours, theirs:
        Deadlines(loop, clients).sweep()
        loop.poll()
        loop.unregister(ours.fileno())
    assert heard == [DEADLINES_A_TURN]


def test_a_deadline_that_moved_while_others_were_acted_on_is_left_alone(loop: Loop) -> None:
    clients = {Client(loop.now) for _ in range(DEADLINES_A_TURN + 1)}
    Deadlines(loop, clients).sweep()
    (waiting,) = [each for each in clients if not each.acted]
    waiting.deadline = loop.now + NEVER
    loop.poll()
    assert waiting.acted == 0


def test_a_tick_during_a_sweep_does_not_begin_another(loop: Loop) -> None:
    clients = {Client(loop.now) for _ in range(3 * DEADLINES_A_TURN)}
    deadlines = Deadlines(loop, clients)
    deadlines.sweep()
    deadlines.sweep()
    assert sum(each.acted for each in clients) == DEADLINES_A_TURN


def test_a_sweep_follows_connections_that_come_and_go(loop: Loop) -> None:
    clients = {Client(loop.now)}
    deadlines = Deadlines(loop, clients)
    clients.add(late := Client(loop.now))
    deadlines.sweep()
    assert late.acted == 1
