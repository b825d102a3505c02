"""The crew: each task once, never more than N at a time, and a poller that never waits for one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from bascule.engine.call import Call
from bascule.engine.crew import BUSY, IDLE_LOOKS, TASKS_A_TURN, Crew
from bascule.engine.expectations import MEMORY, SLOW
from bascule.errors import LoopError
from bascule.guard import places
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.shift import LONG, Shift, Turns, Work


@pytest.fixture
def shift() -> Iterator[Callable[[int], Shift]]:
    with ExitStack() as stack:
        yield lambda threads: stack.enter_context(Shift(threads))


def crew_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("crew-")]


def finish(*tasks: Work) -> None:
    for task in tasks:
        assert task.done.wait(LONG), f"a task was left at {task.notes}"


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_every_task_is_called_once_and_followed_up_once(
    shift: Callable[[int], Shift], threads: int
) -> None:
    tasks = [Work(kind=number % 5) for number in range(300)]
    found = shift(threads)
    for at in range(0, len(tasks), 7):
        found.submit(*tasks[at : at + 7])
    finish(*tasks)
    assert all(task.notes in (["call", "settle"], ["call", "hand_back"]) for task in tasks)


@pytest.mark.parametrize("threads", [1, 4])
def test_more_tasks_than_a_turn_takes_are_all_run(
    shift: Callable[[int], Shift], threads: int
) -> None:
    tasks = [Work() for _ in range(TASKS_A_TURN * 3 + 5)]
    shift(threads).submit(*tasks)
    finish(*tasks)


@pytest.mark.parametrize("threads", [2, 3, 5])
@pytest.mark.parametrize("same_kind", [True, False])
def test_never_more_than_n_run_at_a_time_and_the_loop_turns_all_the_while(
    shift: Callable[[int], Shift], threads: int, same_kind: bool
) -> None:
    found = shift(threads)
    gate = found.gate()
    count = threading.Lock()
    inside = most = 0

    def body() -> None:
        nonlocal inside, most
        with count:
            inside += 1
            most = max(most, inside)
        gate.wait(LONG)
        with count:
            inside -= 1

    tasks = [Work(body, "same" if same_kind else number) for number in range(threads * 3)]
    found.submit(*tasks)
    for task in tasks[:threads]:
        assert task.called.wait(LONG)
    for _ in range(20):
        assert found.turn()
    assert [task.called.is_set() for task in tasks] == [True] * threads + [False] * threads * 2
    assert {id(call.task) for call in found.crew.running()} == {
        id(each) for each in tasks[:threads]
    }
    gate.set()
    finish(*tasks)
    assert most == threads
    assert found.turn()


def test_a_task_that_waits_does_not_keep_others_waiting(shift: Callable[[int], Shift]) -> None:
    found = shift(2)
    gate = found.gate()
    blocked = Work(lambda: gate.wait(LONG) and None, "blocked")
    found.submit(blocked)
    assert blocked.called.wait(LONG)
    others = [Work(kind="other") for _ in range(100)]
    for other in others:
        found.submit(other)
    finish(*others)
    assert not blocked.done.is_set()


def test_the_call_that_was_slow_is_reported_and_shows_where_it_is(
    shift: Callable[[int], Shift],
) -> None:
    found = shift(2)
    gate = found.gate()
    before = time.monotonic()

    def a_name_that_the_stack_shows() -> None:
        gate.wait(LONG)

    task = Work(a_name_that_the_stack_shows)
    found.submit(task)
    assert found.noticed.wait(LONG)
    (call,) = found.slow
    assert call.task is task
    assert call.thread == task.threads[0]
    assert before <= call.started <= time.monotonic()
    assert "a_name_that_the_stack_shows" in [frame.name for frame in call.stack()]
    assert [each.task for each in found.crew.running()] == [task]
    gate.set()
    finish(task)
    assert task.notes == ["call", "hand_back"]


def test_a_slow_call_after_a_long_rest_is_noticed_as_well(shift: Callable[[int], Shift]) -> None:
    found = shift(2)
    gate = found.gate()
    assert found.turn()
    # The watcher goes to sleep after a rest of this length, which nothing but time shows. Where
    # it has not yet, the test still holds.
    threading.Event().wait(SLOW * IDLE_LOOKS * 2)
    task = Work(lambda: gate.wait(LONG) and None)
    found.submit(task)
    assert found.noticed.wait(LONG)
    assert found.turn()


def test_the_lead_is_handed_on_after_a_long_rest_as_well(shift: Callable[[int], Shift]) -> None:
    found = shift(2)
    gate = found.gate()
    held = [Work(lambda: gate.wait(LONG) and None, "slow") for _ in range(2)]
    found.submit(held[0])
    assert found.noticed.wait(LONG)
    assert found.turn()
    # As above: the one thread that is free sleeps by now, and then it is to lead.
    threading.Event().wait(SLOW * IDLE_LOOKS * 2)
    found.submit(held[1])
    assert held[1].called.wait(LONG)
    assert found.turn()


def test_nothing_runs_once_all_is_done(shift: Callable[[int], Shift]) -> None:
    found = shift(3)
    gate = found.gate()
    tasks = [Work(lambda: gate.wait(LONG) and None) for _ in range(3)]
    found.submit(*tasks)
    for task in tasks:
        assert task.called.wait(LONG)
    gate.set()
    finish(*tasks)
    assert found.turn()
    assert found.crew.running() == []


def test_a_kind_that_was_slow_is_not_called_by_the_leader_again(
    shift: Callable[[int], Shift],
) -> None:
    found = shift(2)
    gate = found.gate()
    first = Work(lambda: gate.wait(LONG) and None, "slow")
    found.submit(first)
    assert found.noticed.wait(LONG)
    gate.set()
    finish(first)
    second = Work(kind="slow")
    found.submit(second)
    finish(second)
    assert second.notes == ["call", "hand_back"]
    assert len(found.slow) == 1


def test_a_task_that_is_going_to_wait_may_step_aside(shift: Callable[[int], Shift]) -> None:
    found = shift(2)
    posted = threading.Event()
    in_time: list[bool] = []

    def body() -> None:
        found.crew.step_aside()
        found.turns.post(posted.set)
        in_time.append(posted.wait(LONG))

    task = Work(body)
    found.submit(task)
    finish(task)
    assert in_time == [True]
    assert task.notes == ["call", "hand_back"]


def test_stepping_aside_beside_the_leader_changes_nothing(shift: Callable[[int], Shift]) -> None:
    found = shift(2)

    def body() -> None:
        found.crew.step_aside()
        found.crew.step_aside()

    tasks = [Work(body) for _ in range(50)]
    found.submit(*tasks)
    finish(*tasks)
    assert found.turn()


def test_only_the_leader_settles(shift: Callable[[int], Shift]) -> None:
    found = shift(4)
    polled: list[bool] = []

    class Settled(Work):
        def settle(self) -> None:
            polled.append(threading.get_ident() in found.turns.threads)
            super().settle()

    tasks = [Settled() for _ in range(100)]
    for task in tasks:
        found.submit(task)
    finish(*tasks)
    assert all(polled)


def test_one_thread_does_everything_where_one_call_is_allowed() -> None:
    turns = Turns()
    slow: list[Call] = []
    crew = Crew(1, 1000, turns, slow.append)
    before = threading.active_count()
    during: list[int] = []
    tasks = [Work(lambda: during.append(threading.active_count())) for _ in range(5)]
    turns.post(lambda: [crew.submit(task) for task in tasks] and None)
    turns.post(lambda: None)
    turns.post(crew.stop)
    crew.run()
    assert crew.is_alone
    assert set(during) == {before}
    assert {thread for task in tasks for thread in task.threads} == {threading.get_ident()}
    assert all(task.notes == ["call", "settle"] for task in tasks)
    assert set(turns.threads) == {threading.get_ident()}
    assert slow == []


@pytest.mark.parametrize("threads", [2, 8])
def test_n_calls_need_one_thread_more_to_lead(shift: Callable[[int], Shift], threads: int) -> None:
    before = set(crew_threads())
    found = shift(threads)
    gate = found.gate()
    tasks = [Work(lambda: gate.wait(LONG) and None) for _ in range(threads)]
    found.submit(*tasks)
    for task in tasks:
        assert task.called.wait(LONG)
    assert found.turn()
    assert not found.crew.is_alone
    # The thread that runs the crew is one of them.
    assert len(set(crew_threads()) - before) == threads


def test_stopping_ends_every_thread() -> None:
    before = set(crew_threads())
    with Shift(5) as found:
        gate = found.gate()
        tasks = [Work(lambda: gate.wait(LONG) and None) for _ in range(5)]
        found.submit(*tasks)
        for task in tasks:
            assert task.called.wait(LONG)
        assert found.turn()
        mine = set(crew_threads()) - before
        gate.set()
        finish(*tasks)
    assert len(mine) == 5
    for thread in mine:
        thread.join(LONG)
        assert not thread.is_alive()


def test_threads_that_are_busy_end_after_their_call() -> None:
    before = set(crew_threads())
    with Shift(3) as found:
        gate = found.gate()
        tasks = [Work(lambda: gate.wait(LONG) and None) for _ in range(3)]
        waiting = Work()
        found.submit(*tasks, waiting)
        for task in tasks:
            assert task.called.wait(LONG)
        mine = set(crew_threads()) - before
        stopped = threading.Event()

        def stop() -> None:
            found.crew.stop()
            stopped.set()

        found.turns.post(stop)
        assert stopped.wait(LONG)
    finish(*tasks)
    for thread in mine:
        thread.join(LONG)
        assert not thread.is_alive()
    assert waiting.notes == []  # "tasks that wait included"


def test_the_threads_keep_no_process_alive(shift: Callable[[int], Shift]) -> None:
    found = shift(2)
    assert found.turn()
    assert all(thread.daemon for thread in crew_threads())


@pytest.mark.parametrize("backlog", [0, 1, 5])
@pytest.mark.parametrize("threads", [2, 4])
def test_those_beyond_the_backlog_are_turned_away_the_latest_first(
    threads: int, backlog: int
) -> None:
    with Shift(threads, backlog) as found:
        gate = found.gate()
        running = [Work(lambda: gate.wait(LONG) and None) for _ in range(threads)]
        found.submit(*running)
        for task in running:
            assert task.called.wait(LONG)
        waiting = [Work() for _ in range(backlog)]
        surplus = [Work() for _ in range(3)]
        found.submit(*waiting, *surplus)
        finish(*surplus)
        more = Work()
        found.submit(more)
        finish(more)
        assert [task.notes for task in [*surplus, more]] == [["turn_away"]] * 4
        assert not any(task.done.is_set() for task in [*running, *waiting])
        leader = {thread for task in [*surplus, more] for thread in task.threads}
        assert leader.isdisjoint(task.threads[0] for task in running)
        gate.set()
        finish(*running, *waiting)
        assert all(task.notes[0] == "call" for task in waiting)


def test_a_task_that_follows_on_one_that_was_turned_away_is_turned_away_as_well() -> None:
    with Shift(2, 0) as found:
        gate = found.gate()
        running = [Work(lambda: gate.wait(LONG) and None) for _ in range(2)]
        found.submit(*running)
        for task in running:
            assert task.called.wait(LONG)
        second = Work()

        class First(Work):
            def turn_away(self, wait: float) -> None:
                super().turn_away(wait)
                found.crew.submit(second)  # as pipelined requests are

        found.submit(First())
        finish(second)  # without another turn
        assert second.notes == ["turn_away"]


def occupy(found: Shift, tasks: list[Work], places: int) -> None:
    """Have the first task make its kind slow, and a fast one run beside it; then submit the rest."""
    found.submit(tasks[0])
    assert found.noticed.wait(LONG)
    for _ in range(3):  # one of them may be interrupted, and count as slow
        fast = Work(kind="fast")
        found.submit(fast)
        finish(fast)
    found.submit(*tasks[1:])
    for task in tasks[:places]:
        assert task.called.wait(LONG)
    assert found.turn()


def test_the_slow_leave_one_of_four_places_to_the_fast(shift: Callable[[int], Shift]) -> None:
    found = shift(4)
    gate = found.gate()
    tasks = [Work(lambda: gate.wait(LONG) and None, "slow") for _ in range(6)]
    occupy(found, tasks, 3)
    fast = Work(kind="fast")
    found.submit(fast)
    finish(fast)  # though slow ones wait that came before it
    assert [task.called.is_set() for task in tasks] == [True] * 3 + [False] * 3
    gate.set()
    finish(*tasks)


@pytest.mark.parametrize("threads", [2, 3])
def test_of_fewer_places_the_slow_have_all(shift: Callable[[int], Shift], threads: int) -> None:
    found = shift(threads)
    gate = found.gate()
    tasks = [Work(lambda: gate.wait(LONG) and None, "slow") for _ in range(threads)]
    occupy(found, tasks, threads)
    gate.set()
    finish(*tasks)


def test_the_slow_that_wait_for_a_place_are_held_to_the_backlog() -> None:
    with Shift(4, 2) as found:
        gate = found.gate()
        tasks = [Work(lambda: gate.wait(LONG) and None, "slow") for _ in range(8)]
        occupy(found, tasks, 3)
        finish(*tasks[5:])
        assert [task.notes for task in tasks[5:]] == [["turn_away"]] * 3
        gate.set()
        finish(*tasks)
        assert all(task.notes[0] == "call" for task in tasks[:5])


def test_a_crowd_may_be_gone_before_its_turn() -> None:
    with Shift(2, 0) as found:
        gate = found.gate()
        first = Work(lambda: gate.wait(LONG) and None, "slow")
        found.submit(first)
        assert found.noticed.wait(LONG)
        last = Work(kind="slow")
        found.submit(*(Work(kind="fast") for _ in range(TASKS_A_TURN)), last)

        def poll() -> None:
            gate.set()
            assert last.done.wait(LONG)  # the thread of the first takes it from the queue

        found.turns.post(poll)
        assert found.turn()
        finish(last)


@pytest.mark.parametrize("threads", [1, 4])
def test_a_burst_of_tasks_that_take_no_time_is_not_held_to_the_backlog(threads: int) -> None:
    def burst() -> bool:
        with Shift(threads, 10) as found:
            tasks = [Work() for _ in range(TASKS_A_TURN * 20)]
            found.submit(*tasks)
            finish(*tasks)
        return not any("turn_away" in task.notes for task in tasks)

    # A machine that stands still for a moment makes any call slow; it does not do so every time.
    assert any(burst() for _ in range(5))


def test_a_burst_of_a_kind_that_was_slow_once_is_not_turned_away(
    shift: Callable[[int], Shift],
) -> None:
    with Shift(2, 0) as found:
        gate = found.gate()
        first = Work(lambda: gate.wait(LONG) and None)
        found.submit(first)
        assert found.noticed.wait(LONG)
        gate.set()
        finish(first)
        tasks = [Work() for _ in range(MEMORY)]  # beside the leader, though they are fast
        found.submit(*tasks)
        finish(*tasks)
    assert sum("turn_away" in task.notes for task in tasks) <= 1  # see above


def test_one_thread_turns_away_what_its_calls_keep_waiting() -> None:
    turns = Turns()
    crew = Crew(1, 2, turns, lambda _call: None)
    first = Work(lambda: time.sleep(SLOW * 1.5))  # takes time, which is what is tested
    others = [Work() for _ in range(6)]
    turns.post(lambda: [crew.submit(task) for task in [first, *others]] and None)
    turns.post(lambda: None)
    turns.post(crew.stop)
    crew.run()
    assert first.notes == ["call", "settle"]
    assert [task.notes for task in others] == [["call", "settle"]] * 2 + [["turn_away"]] * 4
    assert set(turns.threads) == {thread for task in others for thread in task.threads}


def test_calls_of_the_leader_that_take_time_count_as_well() -> None:
    def crowd() -> bool:
        with Shift(2, 10) as found:
            # Not slow enough for another thread to take the lead, and too many of them to wait.
            tasks = [Work(lambda: time.sleep(BUSY * 2)) for _ in range(TASKS_A_TURN * 2 + 20)]
            found.submit(*tasks)
            finish(*tasks)
        assert all(task.notes[0] == "call" for task in tasks[:10])
        return any(task.notes == ["turn_away"] for task in tasks)

    # Where the machine stands still, another thread takes the lead; it does not do so every time.
    assert any(crowd() for _ in range(5))


def test_one_thread_looks_after_the_loop_between_calls_that_take_time() -> None:
    turns = Turns()
    crew = Crew(1, 1000, turns, lambda _call: None)
    order: list[str] = []

    def body() -> None:
        time.sleep(SLOW * 1.5)  # takes time, which is what is tested
        order.append("call")

    tasks = [Work(body), Work(body)]
    turns.post(lambda: [crew.submit(task) for task in tasks] and None)
    turns.post(lambda: order.append("poll"))
    turns.post(crew.stop)
    crew.run()
    assert order == ["call", "poll", "call"]


def test_who_is_turned_away_is_told_how_long_the_others_are_likely_to_take() -> None:
    with Shift(2, 3) as found:
        slow = [Work(lambda: time.sleep(SLOW * 4)) for _ in range(20)]
        for task in slow:
            found.submit(task)
            finish(task)  # one after the other: nobody waits, and all but the first are measured
        gate = found.gate()
        running = [Work(lambda: gate.wait(LONG) and None) for _ in range(2)]
        found.submit(*running)
        for task in running:
            assert task.called.wait(LONG)
        found.submit(*(Work() for _ in range(3)), surplus := Work())
        finish(surplus)
        # Four of about 20 ms by two threads; a busy machine's are longer.
        assert SLOW * 4 <= surplus.wait < 2


class Mistake(Exception):  # noqa: N818  # named for whose it is
    """A bug of ours."""


def fail() -> None:
    raise Mistake


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("where", ["poll", "task"])
def test_a_mistake_of_ours_ends_nothing_and_is_not_silent(threads: int, where: str) -> None:
    (place,) = (each for each in places() if each.name == "thread")
    before = place.count
    with Shift(threads) as found:
        for _ in range(2 * threads + 2):  # each thread, and more than once
            if where == "poll":
                found.turns.post(fail)
            else:
                found.submit(Work(fail))
            found.submit(work := Work())
            finish(work)
    assert found.raised == []
    assert place.count == before + 2 * threads + 2
    assert place.error == "Mistake"


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_loop_that_turns_no_more_ends_the_crew_and_is_not_silent(threads: int) -> None:
    def end() -> None:
        raise LoopError("no poller")

    before = set(crew_threads())
    with Shift(threads) as found:
        found.turns.post(end)
        found.thread.join(LONG)
        mine = set(crew_threads()) - before
    assert [type(error) for error in found.raised] == [LoopError]
    for thread in mine:
        thread.join(LONG)
        assert not thread.is_alive()


@settings(max_examples=60)
@given(
    threads=st.integers(1, 4),
    kinds=st.lists(st.integers(0, 3), min_size=1, max_size=40),
    turn_sizes=st.lists(st.integers(1, 9), min_size=1, max_size=8),
    blocked=st.sets(st.integers(0, 39), max_size=3),
)
def test_tasks_of_any_kind_in_any_order_are_run_once_though_some_of_them_wait(
    threads: int, kinds: list[int], turn_sizes: list[int], blocked: set[int]
) -> None:
    # One thread stays free, and what waits does so until everything else is done.
    waiters = sorted(each for each in blocked if each < len(kinds))[: threads - 1]
    gate = threading.Event()
    with Shift(threads) as found:
        found.gates.append(gate)
        tasks = [
            Work((lambda: gate.wait(LONG) and None) if number in waiters else (lambda: None), kind)
            for number, kind in enumerate(kinds)
        ]
        at = 0
        while at < len(tasks):
            size = turn_sizes[at % len(turn_sizes)]
            found.submit(*tasks[at : at + size])
            at += size
        finish(*(task for number, task in enumerate(tasks) if number not in waiters))
        assert not any(tasks[number].done.is_set() for number in waiters)
        gate.set()
        finish(*tasks)
    assert all(task.notes[0] == "call" and len(task.notes) == 2 for task in tasks)


def test_an_abandoned_call_is_not_handed_back_and_leaves_its_place_to_others(
    shift: Callable[[int], Shift],
) -> None:
    found = shift(2)
    gate = found.gate()
    hung, beside, waiting = Work(gate.wait, "hung"), Work(found.gate().wait, "other"), Work()
    found.submit(hung)
    assert found.noticed.wait(LONG)
    (call,) = found.crew.running()
    assert call.is_inside({Work.call.__code__})
    assert found.crew.abandon(call)
    assert [each.is_abandoned for each in found.crew.running()] == [True]
    assert not found.crew.abandon(call)
    found.submit(beside)
    assert beside.called.wait(LONG)
    found.submit(waiting)
    assert found.turn()
    finish(waiting)
    assert not hung.done.is_set()
    gate.set()
    finish(hung)
    assert hung.notes == ["call", "discard"]


def test_a_call_that_has_ended_cannot_be_abandoned(shift: Callable[[int], Shift]) -> None:
    found = shift(2)
    gate = found.gate()
    task = Work(gate.wait)
    found.submit(task)
    assert found.noticed.wait(LONG)
    (call,) = found.crew.running()
    gate.set()
    finish(task)
    assert not found.crew.abandon(call)
    assert task.notes == ["call", "hand_back"]
    assert not call.is_inside({Work.call.__code__})
