"""The crew: threads that take turns to lead the event loop, and call the application.

Leader and followers (Schmidt et al., POSA 2), with foresight and hindsight. The thread that polls,
the leader, calls the application itself: a fast call costs no change of threads. Two things keep a
slow one from blocking the others:

* Foresight: a call that is expected to be slow, because calls of its kind were, is made only after
  the lead has been handed to a follower.
* Hindsight: one follower watches. When the leader has been inside one call for longer than
  ``SLOW``, the watcher takes the lead, and the call goes on beside it.

With N calls allowed at a time there are N + 1 threads, so that one is always free to lead; further
tasks wait, and the poller never waits for the application. With one call allowed there is one
thread, which does both in turn: nothing is ever concurrent, for applications that cannot bear it.

Where fast calls come among slow ones, the slow ones leave one of the N places to them, so that a
fast one does not wait for a slow one to end.

No more than a given number of tasks may wait while all calls are being made; those beyond, the
latest, are turned away. A burst of tasks that take no time is not held to that: it is gone before
anybody could try again.

The crew knows no HTTP: what it runs is a task.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Collection, Hashable
from types import CodeType
from typing import Final, NamedTuple, Protocol

from bascule.errors import LoopError
from bascule.guard import Place

# What counts as a slow call (seconds): so long may one call delay the others, once.
SLOW: Final = 0.005
# A kind of call counts as slow until this many of its calls in a row were not.
SLOW_MEMORY: Final = 8
# Kinds that are remembered; more are forgotten all at once.
KINDS: Final = 1024
# Of calls whose kind is unknown: how much the last one weighs in the share that were slow, and
# from which share on the next is expected to be slow.
LAST_CALL: Final = 0.125
CAUTION: Final = 0.25
# The slow leave a place to the fast if there are this many; of fewer it would cost too much.
PLACES_TO_SPARE: Final = 4
# For how long after a fast call beside slow ones (seconds).
FAST_MEMORY: Final = 1.0
# Looks without any call in between after which the watcher sleeps until there is one.
IDLE_LOOKS: Final = 20
# Tasks that are run before the loop is looked after again.
TASKS_A_TURN: Final = 64
# From which average on (seconds) calls made one after another keep those behind them waiting.
BUSY: Final = 0.001

_THREAD: Final = Place("thread", "A thread that takes turns with others failed, and goes on")


class Poll(Protocol):
    """One turn of the event loop; ``wait`` says whether it may sleep until there are events."""

    def __call__(self, *, wait: bool) -> None: ...


class Task(Protocol):
    """Something to run, once, on a thread of the crew."""

    @property
    def kind(self) -> Hashable:
        """Tasks of one kind are expected to take about as long."""

    def call(self) -> None:
        """Run; called by any thread."""

    def settle(self) -> None:
        """Follow up; called by the leader."""

    def hand_back(self) -> None:
        """Follow up; called by a thread that does not lead."""

    def turn_away(self, wait: float) -> None:
        """Do without the call, for which too many wait; called by the leader.

        Args:
            wait: how long it is likely to take to run those that wait (seconds).
        """

    def discard(self) -> None:
        """Clean up after a call that was abandoned; called by its thread once it has ended."""


class Call(NamedTuple):
    """A task that is running.

    Attributes:
        thread: the identifier of its thread.
        task: what runs.
        started: on the monotonic clock, in seconds.
        is_abandoned: nobody waits for its end any more.
    """

    thread: int
    task: Task
    started: float
    is_abandoned: bool = False

    def is_inside(self, codes: Collection[CodeType]) -> bool:
        """Return whether one of these functions is running on its thread right now."""
        frame = sys._current_frames().get(self.thread)
        while frame is not None:
            if frame.f_code in codes:
                return True
            frame = frame.f_back
        return False

    def stack(self) -> traceback.StackSummary:
        """Return where its thread is right now, innermost frame last; empty when it has ended."""
        frame = sys._current_frames().get(self.thread)
        return traceback.extract_stack(frame) if frame else traceback.StackSummary()


class Crew:
    """Runs tasks, at most ``threads`` at a time, and the loop.

    Args:
        threads: how many tasks may run at the same time.
        backlog: how many tasks may wait while all calls are being made.
        poll: one turn of the loop; called by one thread at a time.
        on_slow: called by the new leader with a call that made it take the lead.
    """

    def __init__(
        self, threads: int, backlog: int, poll: Poll, on_slow: Callable[[Call], None]
    ) -> None:
        self._threads = threads
        self._backlog = backlog
        self._poll = poll
        self._on_slow = on_slow
        self._ready: deque[Task] = deque()
        # Have a task run; to be called by the leader.
        self.submit: Callable[[Task], None] = self._ready.append
        self._stopped = False
        self._failure: BaseException | None = None
        self._started = 0  # threads, besides the one that runs the crew
        # Under the lock: who leads, what runs beside the leader, who waits.
        self._lock = threading.Lock()
        self._wanted = threading.Condition(self._lock)
        self._watch = threading.Condition(self._lock)
        self._leader: int | None = None
        self._running: dict[int, Call] = {}
        self._waiting = 0
        self._has_watcher = False
        # The leader's own call, in a list of its own for each time a thread leads. While it holds
        # an item the lead may be taken; taking the item out is one step for the interpreter, so
        # either the leader does it, or the watcher.
        self._seat: list[Task] = []
        self._held: deque[Task] = deque()  # expected to be slow, while the slow have no place
        self._spare_until = 0.0
        self._is_full = False  # the leader may sleep though tasks wait: all calls are being made
        self._calls = 0
        self._watcher_sleeps = False
        # What is expected; approximate, so that several threads may note it without the lock.
        self._call_time = 0.0
        self._slow_kinds: dict[Hashable, int] = {}
        self._slow_share = 0.0

    @property
    def is_alone(self) -> bool:
        """Whether one thread does everything."""
        return self._threads == 1

    def stop(self) -> None:
        """Let every thread end, tasks that wait included; to be called by the leader."""
        self._stopped = True

    def running(self) -> list[Call]:
        """Return the calls that run beside the leader."""
        with self._lock:
            return list(self._running.values())

    def calls(self) -> list[Call]:
        """Return the calls that are being made, the leader's own included; any thread may ask.

        Without the lock, so that the answer never waits for anybody: a call that begins, ends or
        changes hands at this moment may be missing. Copies of a list and of a dictionary of
        numbers are single steps for the interpreter. A seat is empty before its leader is
        replaced, so what a seat holds after the leader was looked up is this leader's.
        """
        seat = self._seat
        leader = self._leader
        tasks = seat.copy()
        found = self._running.copy()
        if leader is not None:
            for task in tasks:
                found.setdefault(leader, Call(leader, task, time.monotonic()))
        return list(found.values())

    def tasks(self) -> set[Task]:
        """Return every task that a thread has, or is going to have; to be called by the leader."""
        with self._lock:
            running = [call.task for call in self._running.values()]
            return {*self._ready, *self._held, *self._seat, *running}

    @property
    def waiting(self) -> int:
        """How many tasks wait for a thread, those that the leader is about to run included."""
        return self._count_waiting()

    def abandon(self, call: Call) -> bool:
        """Take a task away from the call that it is in; return whether it was in there still.

        Either the call ends first, and hands its task back; or it is abandoned first, and never
        does: its task is the caller's. Its thread keeps its place until the call ends, if ever.
        """
        with self._lock:
            if self._running.get(call.thread) is not call:
                return False
            self._running[call.thread] = call._replace(is_abandoned=True)
            return True

    def step_aside(self) -> None:
        """Let another thread lead; to be called in the middle of a call that is going to wait."""
        with self._lock:
            if self._leader == threading.get_ident():
                self._leave(self._seat.pop())

    def run(self) -> None:
        """Work until stopped; the calling thread is one of the crew.

        A thread that something was raised in may call it once more.

        Raises:
            LoopError: the loop can turn no more.
        """
        if self.is_alone:
            self._run_alone()
            return
        # Daemons: a thread that hangs in the application must not keep a stopped process alive.
        while self._started < self._threads:
            self._started += 1
            name = f"crew-{self._started}"
            threading.Thread(target=self._stay, name=name, daemon=True).start()
        self._stay()
        if self._failure is not None:
            raise self._failure

    def _run_alone(self) -> None:
        while not self._stopped:
            try:
                while not self._stopped:  # a signal's handler may raise where a loop begins anew
                    self._poll(wait=not self._ready)
                    began = time.monotonic()
                    for number in range(1, min(len(self._ready), TASKS_A_TURN) + 1):
                        task = self._ready.popleft()
                        task.call()
                        task.settle()
                        spent = time.monotonic() - began
                        if spent > SLOW:  # the loop has waited long enough
                            self._end_turn(number, spent)
                            break
            except LoopError:
                raise
            except BaseException as error:
                _THREAD.note(error)

    def _end_turn(self, calls: int, spent: float) -> None:
        """Turn tasks away after a turn of calls that took time (seconds)."""
        average = spent / calls
        self._note_time(average)
        if average > BUSY:
            with self._lock:
                surplus = self._take_surplus()
            self._turn_away(surplus)

    def _stay(self) -> None:
        """Work until stopped, whatever is raised in this thread and however often."""
        while not self._stopped:
            try:
                self._work()
            except BaseException as error:
                _THREAD.note(error)

    def _work(self) -> None:
        failure: BaseException | None = None
        while not self._stopped:
            try:
                if failure is not None:
                    self._recover(failure)
                    failure = None
                while not self._stopped:
                    self._follow()
                    self._lead()
            except LoopError as error:
                self._failure = error
                self._stopped = True
            except BaseException as error:
                failure = error
        with self._lock:
            self._leader = None
            self._wanted.notify_all()
            self._watch.notify_all()

    def _recover(self, error: BaseException) -> None:
        """Begin anew as one of those that follow, whatever this thread was at.

        No task is supposed to raise, but an application can have an exception raised in a thread
        at any moment (``PyThreadState_SetAsyncExc``).
        """
        _THREAD.note(error)
        me = threading.get_ident()
        with self._lock:
            call = self._running.pop(me, None)
            task = call.task if call else None
            if self._leader == me:
                if self._seat:
                    task = self._seat.pop()
                self._leader = None
                self._call_follower()
        if task is None:
            return
        if call and call.is_abandoned:
            task.discard()
        else:
            task.hand_back()

    # --- leading -------------------------------------------------------------------------------

    def _lead(self) -> None:
        """Poll and call until another thread leads, or all is over."""
        seat = self._seat
        while not self._stopped:
            if self._ready or self._held:
                began = time.monotonic() if len(self._ready) > self._backlog else 0.0
                self._poll(wait=self._may_sleep())
            else:
                began = 0.0
                self._poll(wait=True)
            tasks = min(len(self._ready), TASKS_A_TURN)
            for _ in range(tasks or len(self._held)):
                if self._running or self._held:
                    # Threads that finish a call take from the queue as well.
                    task = self._take_beside()
                    if task is None:
                        self._relieve()
                        break
                elif self._ready:
                    task = self._ready.popleft()
                else:  # others have taken what was there when this turn began
                    break
                is_wary = self._slow_kinds or self._slow_share > CAUTION
                if is_wary and self._expects_slow(task.kind):
                    with self._lock:
                        self._leave(task)
                    self._run_beside(task)
                    return
                if not self._call_inline(task, seat):
                    return
            else:
                if began and tasks:
                    self._end_turn(tasks, time.monotonic() - began)

    def _may_sleep(self) -> bool:
        """Return whether tasks wait that nothing can be done about but by a call that ends."""
        with self._lock:
            self._is_full = self._all_taken() and self._count_waiting() <= self._backlog
            return self._is_full

    def _all_taken(self) -> bool:
        """Return whether there is no place for any task that waits, the lock held."""
        places = self._threads if self._ready else self._places_for_slow()
        return len(self._running) >= places

    def _places_for_slow(self) -> int:
        if self._threads >= PLACES_TO_SPARE and time.monotonic() < self._spare_until:
            return self._threads - 1
        return self._threads

    def _count_waiting(self) -> int:
        return len(self._ready) + len(self._held)

    def _take_beside(self) -> Task | None:
        """Take a task for the leader's own call, if one more call is allowed."""
        with self._lock:
            return self._take(len(self._running))

    def _take(self, others: int) -> Task | None:
        """Take a task for this thread's call if there is a place for one, the lock held.

        Args:
            others: how many calls run on other threads.
        """
        task = self._choose(others)
        if task is not None:
            me = threading.get_ident()
            self._running[me] = Call(me, task, time.monotonic())
        return task

    def _choose(self, others: int) -> Task | None:
        if others >= self._threads:
            return None
        has_place_for_slow = others < self._places_for_slow()
        if self._held and has_place_for_slow:
            return self._held.popleft()
        while self._ready:
            task = self._ready.popleft()
            if has_place_for_slow or not self._expects_slow(task.kind):
                return task
            self._held.append(task)
        return None

    def _relieve(self) -> None:
        """Turn away the tasks that are more than may wait, if all calls are being made."""
        with self._lock:
            if self._count_waiting() <= self._backlog:
                return
            rest = SLOW - self._longest_call()
            self._is_full = True
        if rest > 0:
            # These calls may be fast: then they are over in a moment, and so is the queue. Until
            # then there is nothing to lead for but more tasks that would have to wait.
            time.sleep(rest)
        with self._lock:
            is_busy = self._all_taken() and self._longest_call() >= SLOW
            surplus = self._take_surplus() if is_busy else []
        self._turn_away(surplus)

    def _longest_call(self) -> float:
        """Return for how long the oldest call beside the leader has run, the lock held."""
        now = time.monotonic()
        return max((now - call.started for call in self._running.values()), default=0.0)

    def _take_surplus(self) -> list[Task]:
        """Take the tasks that are more than may wait, the latest first, the lock held."""
        count = self._count_waiting() - self._backlog
        return [(self._ready or self._held).pop() for _ in range(count)]

    def _turn_away(self, tasks: list[Task]) -> None:
        wait = (self._backlog + len(tasks)) * self._call_time / self._threads
        for task in tasks:
            task.turn_away(wait)

    def _call_inline(self, task: Task, seat: list[Task]) -> bool:
        """Call as the leader; return whether it still is one."""
        # First the seat, then the flag: a watcher that is about to sleep looks the other way round.
        seat.append(task)
        self._calls += 1
        if self._watcher_sleeps:
            self._wake_watcher()
        task.call()
        try:
            seat.pop()
        except IndexError:
            # Another thread leads. It may sleep because all calls were being made: go on for it.
            following = self._end_call(task)
            if following is not None:
                self._run_beside(following)
            return False
        if self._running:
            self._forget_call()
        task.settle()
        return True

    def _leave(self, task: Task) -> None:
        """Give up the lead, the lock held; the task goes on, or will, beside the next leader."""
        me = threading.get_ident()
        self._running.setdefault(me, Call(me, task, time.monotonic()))
        self._leader = None
        self._call_follower()

    def _call_follower(self) -> None:
        """Wake one thread that waits, the lock held; the watcher only if there is no other."""
        if self._waiting:
            self._wanted.notify()
        else:
            self._watch.notify()

    # --- following -----------------------------------------------------------------------------

    def _follow(self) -> None:
        """Wait until this thread leads, or all is over; one of those that wait watches."""
        with self._lock:
            while not self._stopped:
                if self._leader is None:
                    self._begin_to_lead()
                    return
                if not self._has_watcher:
                    if self._keep_watch():
                        return
                    continue
                self._waiting += 1
                try:
                    self._wanted.wait()
                finally:
                    self._waiting -= 1

    def _begin_to_lead(self) -> None:
        self._leader = threading.get_ident()
        self._seat = []

    def _keep_watch(self) -> bool:
        """Watch the leader, the lock held; return whether this thread leads now."""
        self._has_watcher = True
        try:
            idle_looks = 0
            while not self._stopped and self._leader is not None:
                calls = self._calls
                if idle_looks >= IDLE_LOOKS:
                    self._watcher_sleeps = True
                    if not self._seat:  # else a call began before the flag could be seen
                        self._watch.wait()
                    self._watcher_sleeps = False
                    idle_looks = 0
                    continue
                self._watch.wait(SLOW)
                if self._calls != calls:
                    idle_looks = 0
                elif self._seat:
                    if self._take_lead():
                        return True
                else:
                    idle_looks += 1
            return False
        finally:
            self._has_watcher = False
            if self._waiting:
                self._wanted.notify()  # another one watches

    def _wake_watcher(self) -> None:
        with self._lock:
            self._watch.notify()

    def _take_lead(self) -> bool:
        """Take the lead from a thread that is inside a slow call, the lock held."""
        leader = self._leader
        try:
            task = self._seat.pop()
        except IndexError:
            return False  # the call has just ended
        if leader is None:
            raise AssertionError("a seat is filled by a leader")
        call = self._running.setdefault(leader, Call(leader, task, time.monotonic() - SLOW))
        self._begin_to_lead()
        self._note_slow(task.kind)
        self._lock.release()
        try:
            self._on_slow(call)
        finally:
            self._lock.acquire()
        return True

    def _run_beside(self, task: Task) -> None:
        """Run a task, and then those that wait, on a thread that does not lead."""
        following: Task | None = task
        while following is not None:
            task = following
            started = time.monotonic()
            task.call()
            spent = time.monotonic() - started
            self._note_time(spent)
            if spent < SLOW:
                self._note_fast(task.kind)
            else:
                self._note_slow(task.kind)
            following = self._end_call(task)

    def _end_call(self, task: Task) -> Task | None:
        """End a call; take a task that waited for that, in one step, so that N calls stay N.

        This thread's entry is replaced or else goes last: a leader that sees no call beside it
        takes from the queue without the lock.
        """
        me = threading.get_ident()
        with self._lock:
            is_abandoned = self._running[me].is_abandoned
            following = self._take(len(self._running) - 1) if self._may_follow_on() else None
            if following is None:
                del self._running[me]
        if is_abandoned:
            task.discard()
        else:
            task.hand_back()
        return following

    def _may_follow_on(self) -> bool:
        """Return whether a thread that ends a call is to make the next, the lock held."""
        if self._stopped:
            return False
        if self._is_full or self._held:
            return True
        # What is fast a leader that is awake runs at less cost.
        return bool(self._ready) and self._expects_slow(self._ready[0].kind)

    def _forget_call(self) -> None:
        """End the leader's own call, which was fast beside others."""
        with self._lock:
            self._running.pop(threading.get_ident(), None)
            self._spare_until = time.monotonic() + FAST_MEMORY

    # --- expectations --------------------------------------------------------------------------

    def _expects_slow(self, kind: Hashable) -> bool:
        return kind in self._slow_kinds or self._slow_share > CAUTION

    def _note_time(self, spent: float) -> None:
        self._call_time += (spent - self._call_time) * LAST_CALL

    def _note_slow(self, kind: Hashable) -> None:
        if kind not in self._slow_kinds:
            self._slow_share += (1 - self._slow_share) * LAST_CALL
            if len(self._slow_kinds) >= KINDS:
                self._slow_kinds.clear()
        self._slow_kinds[kind] = SLOW_MEMORY

    def _note_fast(self, kind: Hashable) -> None:
        left = self._slow_kinds.get(kind)
        if left is None:
            self._slow_share *= 1 - LAST_CALL
        elif left > 1:
            self._slow_kinds[kind] = left - 1
        else:
            self._slow_kinds.pop(kind, None)
