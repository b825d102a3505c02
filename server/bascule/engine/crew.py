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

Who is called next, and when there is a place, ``Places`` says. A thread whose call is given up
stays in it; another is started when its place is wanted, and one leaves once the call has ended.
There are 2 N + 2 threads at the most: N in calls, N in calls that were given up, one for the
further place, and the leader.

No more than a given number of tasks may wait while all calls are being made; those beyond, the
latest, are turned away, and so is whoever would wait for calls that hang. A burst of tasks that
take no time is not held to that: it is gone before anybody could try again.

The crew knows no HTTP: what it runs is a task.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Iterable
from typing import Final, Protocol

from bascule.engine.call import Call, Task
from bascule.engine.expectations import CAUTION, SLOW, Expectations
from bascule.engine.places import Places
from bascule.errors import LoopError
from bascule.guard import Place

# Looks without any call in between after which the watcher sleeps until there is one.
IDLE_LOOKS: Final = 20
# Tasks that are run before the loop is looked after again.
TASKS_A_TURN: Final = 64
# From which average on (seconds) calls made one after another keep those behind them waiting.
BUSY: Final = 0.001
# Until a thread is asked for again that the system would not give (seconds).
HIRE_AGAIN: Final = 5.0

_THREAD: Final = Place("thread", "A thread that takes turns with others failed, and goes on")


class Poll(Protocol):
    """One turn of the event loop; ``wait`` says whether it may sleep until there are events."""

    def __call__(self, *, wait: bool) -> None: ...


class Crew:
    """Runs tasks, at most ``threads`` at a time, and the loop.

    Args:
        threads: how many tasks may run at the same time.
        backlog: how many tasks may wait while all calls are being made.
        poll: one turn of the loop; called by one thread at a time.
        on_slow: called by the new leader with a call that made it take the lead.
        clock: monotonic, in seconds.

    Attributes:
        size: how many threads there are.
        shortage: why a further thread could not be started, until somebody empties it.
    """

    def __init__(
        self,
        threads: int,
        backlog: int,
        poll: Poll,
        on_slow: Callable[[Call], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._threads = threads
        self._backlog = backlog
        self._poll = poll
        self._on_slow = on_slow
        self._clock = clock
        self._expected = Expectations()
        self._places = Places(threads, self._expected)
        self._ready = self._places.ready
        # Have a task run; to be called by the leader.
        self.submit: Callable[[Task], None] = self._ready.append
        self._stopped = False
        self._failure: BaseException | None = None
        self.size = 1  # the thread that runs the crew, which never leaves
        self._first = 0
        self._started = 0  # threads, besides the one that runs the crew
        self.shortage = ""
        self._hire_after = 0.0
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
        self._is_full = False  # the leader may sleep though tasks wait: all calls are being made
        self._calls = 0
        self._watcher_sleeps = False

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

    @property
    def hung(self) -> int:
        """How many calls were abandoned and have not ended."""
        return _count_hung(self.running())

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
                found.setdefault(leader, Call(leader, task, self._clock()))
        return list(found.values())

    def tasks(self) -> set[Task]:
        """Return every task that a thread has, or is going to have; to be called by the leader."""
        with self._lock:
            running = [call.task for call in self._running.values()]
            waiting = (*self._ready, *self._places.slow, *self._places.long)
            return {*waiting, *self._seat, *running}

    @property
    def waiting(self) -> int:
        """How many tasks wait for a thread, those that the leader is about to run included."""
        return len(self._places)

    def abandon(self, call: Call) -> bool:
        """Take a task away from the call that it is in; return whether it was in there still.

        Either the call ends first, and hands its task back; or it is abandoned first, and never
        does: its task is the caller's. Its place is free, though its thread may never be.
        """
        with self._lock:
            if self._running.get(call.thread) is not call:
                return False
            self._running[call.thread] = call._replace(is_abandoned=True)
            self._expected.note_long(call.task.kind)
            self._note_hung(self._running.values())
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
        self._first = threading.get_ident()
        with self._lock:  # or the first of them hire more, for calls that come meanwhile
            while self._started < self._threads:  # a handler may have raised in between
                self._start_thread()
        self._stay()
        if self._failure is not None:
            raise self._failure

    def _start_thread(self) -> None:
        # A daemon: a thread that hangs in the application must not keep a stopped process alive.
        number = self._started + 1
        threading.Thread(target=self._stay, name=f"crew-{number}", daemon=True).start()
        self._started = number
        self.size += 1

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
        self._expected.note_time(average)
        if average > BUSY:
            with self._lock:
                surplus = self._places.take_surplus(self._backlog)
            self._turn_away(surplus)

    def _stay(self) -> None:
        """Work while wanted, whatever is raised in this thread and however often."""
        while not self._stopped:
            try:
                self._work()
                return  # stopped, or wanted no more
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
                    if not self._follow():
                        return
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
            self._note_hung(self._running.values())
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
        seat, ready, expected = self._seat, self._ready, self._expected
        slow, long = self._places.slow, self._places.long
        while not self._stopped:
            if ready or slow or long:
                began = self._clock() if len(ready) > self._backlog else 0.0
                self._poll(wait=self._may_sleep())
            else:
                began = 0.0
                self._poll(wait=True)
            tasks = min(len(ready), TASKS_A_TURN)
            for _ in range(tasks or len(slow) + len(long)):
                if self._running or slow or long:
                    # Threads that finish a call take from the queue as well.
                    task = self._take_beside()
                    if task is None:
                        self._relieve()
                        break
                elif ready:
                    task = ready.popleft()
                else:  # others have taken what was there when this turn began
                    break
                is_wary = expected.slow_kinds or expected.slow_share > CAUTION
                if is_wary and expected.is_slow(task.kind):
                    with self._lock:
                        self._leave(task)
                    self._run_beside(task)
                    return
                if not self._call_inline(task, seat):
                    return
            else:
                if began and tasks:
                    self._end_turn(tasks, self._clock() - began)

    def _may_sleep(self) -> bool:
        """Return whether tasks wait that nothing can be done about but by a call that ends."""
        with self._lock:
            self._is_full = (
                self._all_taken()
                and len(self._places) <= self._backlog
                and not self._places.has_hopeless
            )
            return self._is_full

    def _all_taken(self) -> bool:
        """Return whether there is no place for any task that waits, the lock held."""
        now = self._clock()
        if now < self._hire_after and not self._has_thread_for(len(self._running)):
            return True
        return self._places.are_taken(self._running.values(), now)

    def _take_beside(self) -> Task | None:
        """Take a task for the leader's own call, if one more call is allowed."""
        with self._lock:
            return self._take()

    def _take(self) -> Task | None:
        """Take a task for this thread's call if there is a place for one, the lock held."""
        me, now = threading.get_ident(), self._clock()
        others = [call for call in self._running.values() if call.thread != me]
        if not self._has_thread_for(len(others)) and (
            self._places.are_taken(others, now) or not self._hire(now)
        ):
            return None
        task = self._places.take(others, now)
        if task is not None:
            self._running[me] = Call(me, task, now)
        return task

    def _has_thread_for(self, others: int) -> bool:
        """Return whether some thread is left to lead while one more call than these is made."""
        return others + 1 < self.size

    def _hire(self, now: float) -> bool:
        """Start a further thread; return whether that was possible."""
        if now < self._hire_after:
            return False
        try:
            self._start_thread()
        except RuntimeError as error:  # no memory, or as many as the system allows
            self.shortage = str(error)
            self._hire_after = now + HIRE_AGAIN
            return False
        return True

    def _relieve(self) -> None:
        """Turn away the tasks that wait in vain, and those that are more than may wait.

        The latter if all calls are being made.
        """
        with self._lock:
            hopeless = self._places.take_hopeless()
        for task in hopeless:
            task.turn_away(math.inf)
        with self._lock:
            if len(self._places) <= self._backlog:
                return
            rest = SLOW - self._longest_call()
            self._is_full = True
        if rest > 0:
            # These calls may be fast: then they are over in a moment, and so is the queue. Until
            # then there is nothing to lead for but more tasks that would have to wait.
            time.sleep(rest)
        with self._lock:
            is_busy = self._all_taken() and self._longest_call() >= SLOW
            surplus = self._places.take_surplus(self._backlog) if is_busy else []
        self._turn_away(surplus)

    def _longest_call(self) -> float:
        """Return for how long the call has run that has held its place longest, the lock held."""
        live = [call for call in self._running.values() if not call.is_abandoned]
        started = [call.started for call in live or self._running.values()]
        return self._clock() - min(started) if started else 0.0

    def _turn_away(self, tasks: list[Task]) -> None:
        wait = (self._backlog + len(tasks)) * self._expected.call_time / self._threads
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
            call = self._running[threading.get_ident()]
            self._expected.note(task.kind, self._clock() - call.started)
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
        self._running.setdefault(me, Call(me, task, self._clock()))
        self._leader = None
        self._call_follower()

    def _call_follower(self) -> None:
        """Wake one thread that waits, the lock held; the watcher only if there is no other."""
        if self._waiting:
            self._wanted.notify()
        else:
            self._watch.notify()

    # --- following -----------------------------------------------------------------------------

    def _follow(self) -> bool:
        """Wait until this thread leads, or all is over; return False for it to leave before.

        One of those that wait watches.
        """
        with self._lock:
            while not self._stopped:
                if self._leader is None:
                    self._begin_to_lead()
                    return True
                if self._has_surplus() and not self._stays():
                    return False
                if not self._has_watcher:
                    if self._keep_watch():
                        return True
                    continue
                self._waiting += 1
                try:
                    self._wanted.wait()
                finally:
                    self._waiting -= 1
        return True

    def _has_surplus(self) -> bool:
        """Return whether there are more threads than calls and the lead may want, the lock held."""
        if self.size <= self._threads + 1:
            return False
        hung = _count_hung(self._running.values())
        places = self._places.regular(hung)
        # While all places are held, the further one may be wanted at any time.
        is_full = len(self._running) - hung >= places
        return self.size > places + hung + 1 + is_full

    def _stays(self) -> bool:
        """Have this thread leave, or another one in its place; return whether it stays."""
        stays = threading.get_ident() == self._first
        if not stays:
            self.size -= 1
        self._call_follower()  # to leave as well, or to watch
        return stays

    def _begin_to_lead(self) -> None:
        self._leader = threading.get_ident()
        self._seat = []
        if self._has_surplus():  # this thread may have been woken to leave
            self._call_follower()

    def _keep_watch(self) -> bool:
        """Watch the leader, the lock held; return whether this thread leads now."""
        self._has_watcher = True
        try:
            idle_looks = 0
            while not self._stopped and self._leader is not None and not self._is_to_leave():
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

    def _is_to_leave(self) -> bool:
        return threading.get_ident() != self._first and self._has_surplus()

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
        call = self._running.setdefault(leader, Call(leader, task, self._clock() - SLOW))
        self._begin_to_lead()
        self._expected.note_slow(task.kind)
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
            started = self._clock()
            task.call()
            self._expected.note(task.kind, self._clock() - started)
            following = self._end_call(task)

    def _end_call(self, task: Task) -> Task | None:
        """End a call; take a task that waited for that, in one step, so that N calls stay N.

        This thread's entry is replaced or else goes last: a leader that sees no call beside it
        takes from the queue without the lock.
        """
        me = threading.get_ident()
        with self._lock:
            is_abandoned = self._running[me].is_abandoned
            if is_abandoned:
                self._note_hung(call for call in self._running.values() if call.thread != me)
            following = self._take() if self._may_follow_on() else None
            if following is None:
                del self._running[me]
            elif self._has_surplus():
                self._call_follower()
        if is_abandoned:
            task.discard()
        else:
            task.hand_back()
        return following

    def _note_hung(self, calls: Iterable[Call]) -> None:
        self._places.note_hung([call.task.kind for call in calls if call.is_abandoned])

    def _may_follow_on(self) -> bool:
        """Return whether a thread that ends a call is to make the next, the lock held."""
        if self._stopped:
            return False
        if self._is_full or self._places.slow or self._places.long:
            return True
        # What is fast a leader that is awake runs at less cost.
        return bool(self._ready) and self._expected.is_slow(self._ready[0].kind)

    def _forget_call(self) -> None:
        """End the leader's own call, which was fast beside others."""
        with self._lock:
            self._running.pop(threading.get_ident(), None)
            self._places.note_fast(self._clock())
            if self._has_surplus():
                self._call_follower()


def _count_hung(calls: Collection[Call]) -> int:
    return sum(call.is_abandoned for call in calls)
