"""The crew held to a model: any mix of tasks, in any order, for several numbers of threads.

The tasks are what applications are: done at once, waiting for something outside, waiting for
something that only the event loop can bring, stepping aside first, such that another task follows
when they have been followed up, and such that they go on for so long that they are given up. Time
passes when the test says so, besides the time that really does. After each step the crew must come to rest where the
model says; on the way there, whatever the threads' order, some things must never be seen.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import pytest
from bascule.engine.call import Call
from bascule.engine.crew import Crew
from bascule.engine.expectations import LONG
from bascule.engine.places import PLACES_TO_SPARE
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.harness.waiting import wait_until
from tests.server.shift import Turns

PATIENCE = 5.0  # seconds until the crew has come to rest, and for any wait in a call
TICK = 0.5  # seconds between two turns without an event
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
        self.ahead = 0.0  # seconds, of the real clock
        self.crew = Crew(threads, backlog, self.poll, self.on_slow, self.clock)
        self.changed = threading.Condition(threading.RLock())
        self.submitted = 0  # those that follow on others not counted
        self.tasks: list[Job] = []
        self.inside: set[Job] = set()
        self.mistakes: list[str] = []
        self.poller = 0  # who polled last: the leader
        self.polls = 0
        self.thread = threading.Thread(target=self._run, name="floor", daemon=True)

    def clock(self) -> float:
        return time.monotonic() + self.ahead

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
            job.submitted = self.clock()
            self.crew.submit(job)

    def give_up(self, job: Job) -> None:
        """Give up the call that a job is in."""
        for call in self.crew.running():
            if call.task is job and not call.is_abandoned:
                # In one step for whoever looks: its call may end at this very moment, and another
                # one that begins at once is no mistake.
                with self.changed:
                    job.is_given_up = self.crew.abandon(call)

    def enter(self, job: Job) -> None:
        """Note that a job's call begins."""
        with self.changed:
            self.inside.add(job)
            live = [each for each in self.inside if not each.is_given_up]
            # A call may have been given up, or may have ended, since this one got its place.
            young = [each for each in live if each is not job and each.most_age() < LONG]
            if len(live) > self.threads + (self.threads > 1 and not young):
                self.mistake(f"{len(live)} calls at a time, of which {len(young)} are young")
            if len(self.inside) > 2 * self.threads + 1:
                self.mistake(f"{len(self.inside)} threads in calls")
            self.changed.notify_all()

    def turned(self) -> bool:
        """Return whether the loop turns."""
        turned = threading.Event()
        self.turns.post(turned.set)
        return turned.wait(PATIENCE)

    def rest(self) -> None:
        """Wait until the crew has nothing to do."""
        end = time.monotonic() + PATIENCE
        rests = False
        while not rests and time.monotonic() < end:
            self.turns.post(lambda: None)  # the loop's tick
            with self.changed:
                rests = self.changed.wait_for(
                    lambda: bool(self.mistakes) or (self._is_here() and self._is_done()), TICK
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
        live = [job for job in held if not job.is_given_up]
        waiting = [job for job in self.tasks if not job.notes]
        others = [job for job in self.tasks if not job.has_ended and job not in held]
        hung = [job.kind for job in held if job.is_given_up]
        places = min(self.threads, 2 * self.threads - len(hung))
        if (
            self.threads > 1
            and len(hung) >= self.threads
            # Who has no place, whatever ends but what hangs, is turned away, however few wait.
            and not all(places and job.kind not in hung for job in waiting)
        ):
            return False
        if self.threads > 1 and len(live) < places - 1:
            return not others
        if others != waiting or (self.threads > 1 and len(waiting) > self.backlog):
            return False
        if self.threads in (2, 3) and len(live) < places:
            return all(self.may_be_long(job.kind) for job in waiting)
        if self.threads > 1 and live and len(live) == places and all(x.age() >= LONG for x in live):
            return all(self.may_be_long(job.kind) for job in waiting)
        return len(live) >= places - (self.threads >= PLACES_TO_SPARE) or not others

    def may_be_long(self, kind: int) -> bool:
        """Return whether a call of a kind may have been seen to be long."""
        called = [job for job in self.tasks if job.kind == kind and job.notes]
        return any(job.is_given_up or job.most_age() >= LONG for job in called)

    def most_threads(self) -> int:
        """Return how many threads there may be while the crew rests.

        Where the further place is taken as well, the thread that runs the crew may be the only one
        without a call: it never leaves, and there is no other that could.
        """
        if self.threads == 1:
            return 1
        hung = sum(job.is_given_up for job in self.inside)
        live = len(self.inside) - hung
        places = min(self.threads, 2 * self.threads - hung)
        return places + hung + 1 + (live >= places) + (live > places)


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
        self.is_given_up = False
        self.submitted = self._entered = 0.0
        self._ended: float | None = None
        self._caller = 0

    @property
    def is_held(self) -> bool:
        """Whether its call waits for the test."""
        return "hold" in self._steps and not self.release.is_set()

    @property
    def has_ended(self) -> bool:
        return len(self.notes) == 2 or self.notes == ["turn_away"]

    def age(self) -> float:
        """Return for how long its call has gone on at the least (seconds)."""
        return self.floor.clock() - self._entered

    def most_age(self) -> float:
        """Return for how long its call has gone on, or did, at the most (seconds)."""
        return (self._ended or self.floor.clock()) - self.submitted

    def call(self) -> None:
        floor = self.floor
        self._caller = threading.get_ident()
        self._entered = floor.clock()
        self._note("call")
        floor.enter(self)
        for step in self._steps:
            getattr(self, f"_{step}")()
        with floor.changed:
            floor.inside.discard(self)

    def _aside(self) -> None:
        self.floor.crew.step_aside()

    def _hold(self) -> None:
        if not self.release.wait(PATIENCE * 4):
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

    def discard(self) -> None:
        if threading.get_ident() != self._caller:
            self.floor.mistake("a task was discarded by another thread than called it")
        self._note("discard")

    def _note(self, note: str) -> None:
        with self.floor.changed:
            self.notes.append(note)
            if len(self.notes) == 2:
                self._ended = self.floor.clock()
            endings = ["discard"] if self.is_given_up else ["settle", "hand_back"]
            known = [["call"], ["turn_away"], *(["call", ending] for ending in endings)]
            if self.notes not in known:
                self.floor.mistake(f"a task was run like this: {self.notes}")
            self.floor.changed.notify_all()


# What a call does. One that is held never ends by itself; the others do.
ENDING = st.sampled_from([[], [], [], ["turn"], ["aside"], ["aside", "turn"]])
HELD = st.sampled_from([["hold"], ["aside", "hold"], ["turn", "hold"]])
KINDS = st.integers(0, 5)


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

    @rule(places=st.lists(st.integers(0, 20), min_size=1, max_size=6))
    def give_some_up(self, places: list[int]) -> None:
        if self.threads == 1:
            return  # there is nobody to do it
        for place in places:
            if self.held:
                job = self.held[place % len(self.held)]
                self.floor.turns.post(lambda job=job: self.floor.give_up(job))  # type: ignore[misc]

    @rule()
    def give_all_up(self) -> None:
        self.give_some_up([*range(len(self.held))])

    @rule(kinds=st.lists(KINDS, min_size=1, max_size=3))
    def hold_all_places_for_long(self, kinds: list[int]) -> None:
        """A burst of one kind, and what comes when it is old."""
        self.submit_tasks_that_wait([(kinds[0], ["hold"])] * self.threads)
        if self.threads > 1:
            self.floor.rest()
        self.let_time_pass()
        self.submit_tasks_that_end([(kind, [], 0) for kind in kinds])
        self.come_to_rest()

    @rule()
    def let_time_pass(self) -> None:
        if self.threads > 1:
            assert self.floor.turned()  # so that a call that goes on is known to, and since when
        self.floor.ahead += LONG
        self.floor.turns.post(lambda: None)

    @rule()
    def come_to_rest(self) -> None:
        floor = self.floor
        if self.threads == 1 and self.held:
            return  # the one thread is in that call, or will be; nothing can be asked of it
        floor.rest()
        if floor.mistakes:
            return
        self.leave()
        assert floor.turned(), "the loop does not turn while calls are held"
        polls = floor.polls
        assert floor.turned()
        assert floor.turned()
        assert floor.polls - polls < MANY, "the leader polls without end though it may sleep"
        with floor.changed:
            assert floor.changed.wait_for(floor.running_is_what_is_inside, PATIENCE)
            waiting = [job for job in floor.tasks if not job.notes]
        waiting = [job for job in waiting if not floor.may_be_long(job.kind)]
        if waiting and self.threads < PLACES_TO_SPARE:
            called = [at for at, job in enumerate(floor.tasks) if job.notes[:1] == ["call"]]
            assert max(called) < floor.tasks.index(waiting[0]), "one that came later was preferred"

    def leave(self) -> None:
        """See that threads that are not needed any more leave."""

        def surplus() -> int:
            found = set(threading.enumerate()) - self.before
            return len(found) - self.floor.most_threads()

        wait_until(
            lambda: surplus() <= 0,
            "the threads leave that are not needed",
            limit=PATIENCE,
            seen=lambda: f"{surplus()} too many",
            pause=lambda _: self.floor.turned(),
        )

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
                self.leave()
                assert all(job.has_ended for job in floor.tasks)
        finally:
            floor.turns.post(floor.crew.stop)
            floor.thread.join(PATIENCE)
        mine = set(threading.enumerate()) - self.before
        for thread in mine:
            thread.join(PATIENCE)
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
