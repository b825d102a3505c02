"""The crew held to a model: any mix of tasks, in any order, for several numbers of threads.

The tasks are what applications are: done at once, waiting for something outside, waiting for
something that only the event loop can bring, stepping aside first, and such that another task
follows when they have been followed up. After each step the crew must come to rest where the
model says; on the way there, whatever the threads' order, some things must never be seen.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest
from bascule.engine.crew import PLACES_TO_SPARE, Call, Crew
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.server.shift import Turns

LONG = 5.0  # seconds until the crew has come to rest, and for any wait in a call
MANY = 20  # polls for two turns; one that never sleeps needs hundreds
# The interpreter's default is 5 ms, in which most races would hide.
SWITCH_INTERVAL = 1e-5  # seconds


class Floor:
    """Where the tasks are: what the crew was seen to do.

    Args:
        threads: how many tasks may run at a time.
        backlog: how many may wait.
    """

    def __init__(self, threads: int, backlog: int) -> None:
        self.threads = threads
        self.backlog = backlog
        self.turns = Turns()
        self.crew = Crew(threads, backlog, self.poll, self.on_slow)
        self.changed = threading.Condition(threading.RLock())
        self.submitted = 0  # those that follow on others not counted
        self.tasks: list[Job] = []
        self.inside: set[Job] = set()
        self.mistakes: list[str] = []
        self.poller = 0  # who polled last: the leader
        self.polls = 0
        self.thread = threading.Thread(target=self._run, name="floor", daemon=True)

    def _run(self) -> None:
        try:
            self.crew.run()
        except BaseException as error:
            self.mistake(f"the crew failed: {error!r}")

    def poll(self, *, wait: bool) -> None:
        self.poller = threading.get_ident()
        self.polls += 1
        self.turns(wait=wait)

    def on_slow(self, call: Call) -> None:
        if call.thread == threading.get_ident():
            self.mistake("a thread took the lead from itself")

    def mistake(self, text: str) -> None:
        with self.changed:
            self.mistakes.append(text)
            self.changed.notify_all()

    def submit(self, jobs: list[Job]) -> None:
        """Have jobs submitted in one turn."""
        self.submitted += len(jobs)
        self.turns.post(lambda: self.take(jobs))

    def take(self, jobs: list[Job]) -> None:
        with self.changed:
            self.tasks += jobs
            self.changed.notify_all()
        for job in jobs:
            self.crew.submit(job)

    def turned(self) -> bool:
        """Return whether the loop turns."""
        turned = threading.Event()
        self.turns.post(turned.set)
        return turned.wait(LONG)

    def rest(self) -> None:
        """Wait until the crew has nothing to do."""
        with self.changed:
            rests = self.changed.wait_for(
                lambda: self.mistakes or (self._is_here() and self._is_done()), LONG
            )
            assert rests, f"{[job.notes for job in self.tasks]} inside: {len(self.inside)}"

    def running_is_what_is_inside(self) -> bool:
        held = {job for job in self.inside if job.is_held}
        return {call.task for call in self.crew.running()} == held

    def _is_here(self) -> bool:
        """Whether all has been submitted, what follows on a task included."""
        followers = sum(job.has_ended and job.follower is not None for job in self.tasks)
        return len(self.tasks) == self.submitted + followers

    def _is_done(self) -> bool:
        """Whether each task has ended, or waits for the test, or for a thread that does."""
        held = [job for job in self.inside if job.is_held]
        waiting = [job for job in self.tasks if not job.notes]
        others = [job for job in self.tasks if not job.has_ended and job not in held]
        if len(held) < self.threads - (self.threads >= PLACES_TO_SPARE):
            return not others
        return others == waiting and (self.threads == 1 or len(waiting) <= self.backlog)


class Job:
    """One task.

    Args:
        floor: where it is run.
        kind: tasks of one kind are expected to take as long.
        steps: what it does in the call.
        follower: another task, submitted when this one has been followed up.
    """

    def __init__(
        self, floor: Floor, kind: int, steps: list[str], follower: Job | None = None
    ) -> None:
        self.floor = floor
        self.kind = kind
        self.notes: list[str] = []
        self.release = threading.Event()
        self._steps = steps
        self.follower = follower
        self._caller = 0

    @property
    def is_held(self) -> bool:
        """Whether its call waits for the test."""
        return "hold" in self._steps and not self.release.is_set()

    @property
    def has_ended(self) -> bool:
        return len(self.notes) == 2 or self.notes == ["turn_away"]

    def call(self) -> None:
        floor = self.floor
        self._caller = threading.get_ident()
        self._note("call")
        with floor.changed:
            floor.inside.add(self)
            if len(floor.inside) > floor.threads:
                floor.mistake(f"{len(floor.inside)} calls at a time")
            floor.changed.notify_all()
        for step in self._steps:
            getattr(self, f"_{step}")()
        with floor.changed:
            floor.inside.discard(self)

    def _aside(self) -> None:
        self.floor.crew.step_aside()

    def _hold(self) -> None:
        if not self.release.wait(LONG * 4):
            self.floor.mistake("a call was never released")

    def _turn(self) -> None:
        # Only the loop can end this wait, as when a client must take bytes.
        if not self.floor.crew.is_alone and not self.floor.turned():
            self.floor.mistake("the loop does not turn while a call waits")

    def settle(self) -> None:
        if threading.get_ident() not in (self._caller, self.floor.poller):
            self.floor.mistake("a task was settled by a thread that does not lead")
        self._note("settle")
        if self.follower is not None:
            self.floor.take([self.follower])

    def hand_back(self) -> None:
        if threading.get_ident() != self._caller:
            self.floor.mistake("a task was handed back by another thread than called it")
        self._note("hand_back")
        if (follower := self.follower) is not None:
            self.floor.turns.post(lambda: self.floor.take([follower]))

    def turn_away(self, wait: float) -> None:
        if threading.get_ident() != self.floor.poller:
            self.floor.mistake("a task was turned away by a thread that does not lead")
        if wait < 0:
            self.floor.mistake(f"a wait of {wait} s")
        self._note("turn_away")
        if self.follower is not None:
            self.floor.take([self.follower])

    def _note(self, note: str) -> None:
        with self.floor.changed:
            self.notes.append(note)
            if self.notes not in (
                ["call"],
                ["call", "settle"],
                ["call", "hand_back"],
                ["turn_away"],
            ):
                self.floor.mistake(f"a task was run like this: {self.notes}")
            self.floor.changed.notify_all()


# What a call does. One that is held never ends by itself; the others do.
ENDING = st.sampled_from([[], [], [], ["turn"], ["aside"], ["aside", "turn"]])
HELD = st.sampled_from([["hold"], ["aside", "hold"], ["turn", "hold"]])
KINDS = st.integers(0, 3)


class CrewMachine(RuleBasedStateMachine):
    """Submits tasks, lets those that wait go on, and looks whether the crew does as it must."""

    threads = 1

    def __init__(self) -> None:
        super().__init__()
        self.held: list[Job] = []

    @initialize(backlog=st.sampled_from([0, 1, 3, 100]))
    def begin(self, backlog: int) -> None:
        self.before = set(threading.enumerate())
        self.floor = Floor(self.threads, backlog)
        self.floor.thread.start()

    def job(self, kind: int, steps: list[str], followers: int = 0) -> Job:
        follower = self.job(kind, [], followers - 1) if followers else None
        job = Job(self.floor, kind, steps, follower)
        if job.is_held:
            self.held.append(job)
        return job

    @rule(jobs=st.lists(st.tuples(KINDS, ENDING, st.integers(0, 2)), min_size=1, max_size=12))
    def submit_tasks_that_end(self, jobs: list[tuple[int, list[str], int]]) -> None:
        self.floor.submit([self.job(*each) for each in jobs])

    @rule(jobs=st.lists(st.tuples(KINDS, HELD), min_size=1, max_size=6))
    def submit_tasks_that_wait(self, jobs: list[tuple[int, list[str]]]) -> None:
        self.floor.submit([self.job(*each) for each in jobs])

    @rule(jobs=st.lists(st.tuples(KINDS, st.one_of(ENDING, HELD)), min_size=2, max_size=12))
    def submit_both_in_one_turn(self, jobs: list[tuple[int, list[str]]]) -> None:
        self.floor.submit([self.job(*each) for each in jobs])

    @rule(places=st.lists(st.integers(0, 7), min_size=1, max_size=4))
    def let_some_go_on(self, places: list[int]) -> None:
        for place in places:
            if self.held:
                self.held.pop(place % len(self.held)).release.set()

    @rule()
    def come_to_rest(self) -> None:
        floor = self.floor
        if self.threads == 1 and self.held:
            return  # the one thread is in that call, or will be; nothing can be asked of it
        floor.rest()
        threads = 1 if self.threads == 1 else self.threads + 1
        assert len(set(threading.enumerate()) - self.before) <= threads
        if floor.mistakes:
            return
        assert floor.turned(), "the loop does not turn while calls are held"
        polls = floor.polls
        assert floor.turned()
        assert floor.turned()
        assert floor.polls - polls < MANY, "the leader polls without end though it may sleep"
        with floor.changed:
            assert floor.changed.wait_for(floor.running_is_what_is_inside, LONG)
            waiting = [job for job in floor.tasks if not job.notes]
        if waiting and self.threads < PLACES_TO_SPARE:
            called = [at for at, job in enumerate(floor.tasks) if job.notes[:1] == ["call"]]
            assert max(called) < floor.tasks.index(waiting[0]), "one that came later was preferred"

    @invariant()
    def nothing_is_amiss(self) -> None:
        if hasattr(self, "floor"):  # not before the first rule
            assert self.floor.mistakes == []

    def teardown(self) -> None:
        if not hasattr(self, "floor"):
            return
        floor = self.floor
        for job in self.held:
            job.release.set()
        try:
            if not floor.mistakes:
                floor.rest()
                assert floor.turned(), "the loop does not turn once all is done"
                assert floor.crew.running() == []
                assert all(job.has_ended for job in floor.tasks)
        finally:
            floor.turns.post(floor.crew.stop)
            floor.thread.join(LONG)
        mine = set(threading.enumerate()) - self.before
        for thread in mine:
            thread.join(LONG)
        assert floor.mistakes == []
        assert not any(thread.is_alive() for thread in mine), "a thread outlives the crew"


def machine(threads: int) -> type[CrewMachine]:
    return type(f"Crew{threads}", (CrewMachine,), {"threads": threads})


@pytest.fixture
def switching() -> Any:
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("switching")
@pytest.mark.parametrize("threads", [1, 2, 3, 4, 8])
def test_the_crew_does_as_the_model_says(threads: int) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine(threads), settings=settings(max_examples=40, stateful_step_count=20)
    )
