"""What hangs costs a thread, not the service: others are served, and threads come and go for that."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from bascule.engine import call as calls
from bascule.engine.crew import HIRE_AGAIN, IDLE_LOOKS
from bascule.engine.expectations import LONG as LONG_CALL
from bascule.engine.expectations import SLOW

from tests.server.shift import LONG, Shift, Work


@pytest.fixture
def shift() -> Iterator[Callable[[int], Shift]]:
    with ExitStack() as stack:
        yield lambda threads: stack.enter_context(Shift(threads))


def hold(found: Shift, kind: str) -> Work:
    """Have a task called that waits; it does so until its own gate is set."""
    gate = found.gate()

    def body() -> None:
        gate.wait(LONG * 4)

    task = Work(body, kind)
    found.submit(task)
    assert task.called.wait(LONG)
    assert found.turn()  # it is seen to be slow by now, and another thread leads
    return task


def end(found: Shift, held: list[Work]) -> None:
    for gate in found.gates:
        gate.set()
    finish(*held)


def finish(*tasks: Work) -> None:
    for task in tasks:
        assert task.done.wait(LONG), f"a task was left at {task.notes}"


def serve(found: Shift, kind: str) -> None:
    task = Work(kind=kind)
    found.submit(task)
    finish(task)


def is_called(found: Shift, task: Work) -> bool:
    found.submit(task)
    for _ in range(3):
        assert found.turn()
    return task.called.is_set()


def give_up(found: Shift, *tasks: Work) -> None:
    """Give up the calls that these tasks are in, as the leader does."""
    given: list[calls.Call] = []

    def action() -> None:
        for call in found.crew.running():
            if call.task in tasks and found.crew.abandon(call):
                given.append(call)

    found.turns.post(action)
    assert found.turn()
    assert len(given) == len(tasks)


def settles_at(found: Shift, size: int) -> bool:
    """Return whether the crew comes to have so many threads."""
    return any(found.crew.size == size or not found.turn() for _ in range(100_000))


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_a_burst_that_hangs_leaves_a_place_to_other_kinds(
    shift: Callable[[int], Shift], threads: int
) -> None:
    found = shift(threads)
    held = [hold(found, "burst") for _ in range(threads)]
    waiting = [Work(kind="burst") for _ in range(3)]
    found.submit(*waiting)
    found.ahead += LONG_CALL
    for _ in range(20):
        serve(found, "other")
    assert not any(task.called.is_set() for task in waiting)
    assert found.crew.size == threads + 2
    end(found, held)
    finish(*waiting)
    assert settles_at(found, threads + 1)


def test_a_kind_that_has_hung_leaves_a_place_from_then_on(shift: Callable[[int], Shift]) -> None:
    found = shift(4)
    first = hold(found, "hangs")
    found.ahead += LONG_CALL
    end(found, [first])
    held = [hold(found, "hangs") for _ in range(3)]
    fourth = Work(kind="hangs")
    assert not is_called(found, fourth)
    serve(found, "other")
    assert found.crew.size == 5
    end(found, held)
    finish(fourth)


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_calls_that_were_given_up_leave_their_places_to_others(
    shift: Callable[[int], Shift], threads: int
) -> None:
    found = shift(threads)
    hung: list[Work] = []
    for _ in range(threads):
        hung.append(hold(found, "hangs"))
        give_up(found, hung[-1])
        beside = [hold(found, f"other-{number}") for number in range(threads)]
        late = Work(kind="late")
        assert not is_called(found, late)
        assert found.crew.hung == len(hung)
        assert found.crew.size == threads + len(hung) + 1
        finish_only(found, beside, hung)
        finish(late)
    end(found, hung)
    assert [task.notes for task in hung] == [["call", "discard"]] * threads
    assert settles_at(found, threads + 1)
    serve(found, "other")


def finish_only(found: Shift, tasks: list[Work], others: list[Work]) -> None:
    """Let all but these others go on."""
    for gate in found.gates[len(others) :]:
        gate.set()
    finish(*tasks)
    del found.gates[len(others) :]


def test_no_more_threads_are_given_up_than_are_replaced(shift: Callable[[int], Shift]) -> None:
    found = shift(2)
    hung = []
    for left in (2, 2, 1, 0):
        hung.append(hold(found, f"hangs-{len(hung)}"))
        give_up(found, hung[-1])
        beside = [hold(found, f"other-{number}") for number in range(left)]
        late = Work(kind="late")
        assert not is_called(found, late)
        assert found.crew.size <= 2 * 2 + 1
        finish_only(found, beside, hung)
        finish(late)
    assert late.notes == ["turn_away"]  # nobody is left to wait for
    assert len(found.crew.running()) == 4
    end(found, hung)
    assert settles_at(found, 3)
    serve(found, "late")


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_where_as_many_hang_as_can_be_replaced_further_ones_of_their_kinds_are_turned_away(
    shift: Callable[[int], Shift], threads: int
) -> None:
    found = shift(threads)
    hung = [hold(found, "hangs") for _ in range(threads)]
    queue = [Work(kind="hangs") for _ in range(3)]
    found.submit(*queue)
    assert found.turn()
    assert not any(task.notes for task in queue)
    give_up(found, *hung)
    queue.append(Work(kind="hangs"))
    found.submit(queue[-1])
    finish(*queue)
    assert [task.notes for task in queue] == [["turn_away"]] * 4
    assert [task.wait for task in queue] == [math.inf] * 4
    for _ in range(20):
        serve(found, "other")
    end(found, hung)
    assert settles_at(found, threads + 1)
    serve(found, "hangs")


def test_the_thread_that_runs_the_crew_stays_though_there_are_too_many(
    shift: Callable[[int], Shift],
) -> None:
    found = shift(4)
    hung = [hold(found, "hangs") for _ in range(4)]
    give_up(found, *hung)
    if not any(found.thread.ident in task.threads for task in hung):  # then it leads
        hung.append(hold(found, "hangs, too"))
        give_up(found, hung[-1])
    others = [hold(found, f"other-{number}") for number in range(8 - len(hung))]
    gates = dict(zip([*hung, *others], found.gates, strict=True))
    (its,) = (task for task in hung if found.thread.ident in task.threads)
    spare = next(task for task in hung if task is not its)
    # No thread leaves yet: each may be wanted for a call that takes the place of these.
    for task in [others[0], spare] if len(hung) == 5 else [others[0]]:
        gates[task].set()
        finish(task)
    assert settles_at(found, 9)
    gates[its].set()
    finish(its)
    assert settles_at(found, 8)
    found.thread.join(0.2)  # it does not end
    assert found.thread.is_alive()
    end(found, [*hung, *others])
    assert settles_at(found, 5)
    found.thread.join(0.2)
    assert found.thread.is_alive()
    serve(found, "another")


def test_without_a_thread_to_be_had_the_places_are_fewer_and_the_loop_turns(
    shift: Callable[[int], Shift], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = shift(2)
    hung = hold(found, "hangs")
    give_up(found, hung)
    beside = [hold(found, "other")]
    real = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name.startswith("crew-"):
            raise RuntimeError("can't start new thread")
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    late = Work(kind="late")
    assert not is_called(found, late)
    assert found.crew.shortage == "can't start new thread"
    before = sum(found.turns.threads.values())
    assert found.turn()
    assert found.turn()
    assert sum(found.turns.threads.values()) - before < 10, "the leader polls without end"
    monkeypatch.undo()
    assert found.turn()
    assert not late.called.is_set()
    found.ahead += HIRE_AGAIN
    assert found.turn()
    finish(late)
    end(found, [hung, *beside])
    assert settles_at(found, 3)


def test_a_thread_leaves_for_one_whose_call_hung_and_that_takes_another(
    shift: Callable[[int], Shift],
) -> None:
    found = shift(4)
    hung = [hold(found, "hangs") for _ in range(2)]
    give_up(found, *hung)
    finish_only(found, [hold(found, f"other-{number}") for number in range(4)], hung)
    assert settles_at(found, 7)
    # The watcher goes to sleep after a rest of this length, which nothing but time shows. Where it
    # has not yet, the test still holds.
    threading.Event().wait(SLOW * IDLE_LOOKS * 2)
    gate = found.gate()
    follows = Work(lambda: gate.wait(LONG * 4) and None, "hangs")

    def poll() -> None:
        found.crew.submit(follows)
        found.gates[0].set()
        assert follows.called.wait(LONG)  # before the leader gets to it

    found.turns.post(poll)
    assert settles_at(found, 6)
    end(found, [*hung, follows])
    assert settles_at(found, 5)
