"""The crew: threads that take turns to lead the event loop, and call the application.

Leader and followers (Schmidt et al., POSA 2): the leader polls; when requests are ready it steps
down, another thread leads, and it calls the application itself. So a request needs no queue
between an I/O thread and a worker thread, and the poller never waits for the application.

With N calls allowed at a time there are N + 1 threads, so that one is always free to lead. With
one call allowed there is one thread, which does both in turn: nothing is ever concurrent, for
applications that cannot bear it.

The crew knows no HTTP: what it runs is a task.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections import deque
from typing import Final, NamedTuple, Protocol


class Task(Protocol):
    """Something to run, once, on a thread of the crew."""

    def call(self) -> None: ...


# Where one thread does everything, it looks after connections and deadlines at least this often
# (seconds) while requests wait, unless a single call takes longer.
LONGEST_TURN: Final = 0.1


class Poll(Protocol):
    """One turn of the event loop; ``wait`` says whether it may sleep until there are events."""

    def __call__(self, *, wait: bool) -> None: ...


class Call(NamedTuple):
    """A task that is running.

    Attributes:
        thread: the identifier of its thread.
        task: what runs.
        started: on the monotonic clock, in seconds.
    """

    thread: int
    task: Task
    started: float

    def stack(self) -> str:
        """Return where its thread is right now, innermost frame last; empty when it has ended."""
        frame = sys._current_frames().get(self.thread)
        return "".join(traceback.format_stack(frame)) if frame else ""


class Crew:
    """Runs tasks, at most ``threads`` at a time, and the loop.

    Args:
        threads: how many tasks may run at the same time.
        poll: one turn of the loop; called by one thread at a time.
    """

    def __init__(self, threads: int, poll: Poll) -> None:
        self._threads = threads
        self._poll = poll
        self._lock = threading.Lock()
        self._wanted = threading.Condition(self._lock)
        self._ready: deque[Task] = deque()
        self._running: dict[int, Call] = {}
        self._leader: int | None = None
        self._stopped = False

    def submit(self, task: Task) -> None:
        """Have a task run by some thread; to be called by the leader."""
        self._ready.append(task)

    def leads(self) -> bool:
        """Return whether the calling thread is the one that polls."""
        return self._leader == threading.get_ident()

    def stop(self) -> None:
        """Let every thread end, tasks that wait included; to be called by the leader."""
        self._stopped = True

    def running(self) -> list[Call]:
        """Return the tasks that run now."""
        return list(self._running.values())

    def run(self) -> None:
        """Work until stopped; the calling thread is one of the crew."""
        if self._threads == 1:
            self._run_alone()
            return
        # Daemons: a thread that hangs in the application must not keep a stopped process alive.
        others = [
            threading.Thread(target=self._work, name=f"crew-{number}", daemon=True)
            for number in range(1, self._threads + 1)
        ]
        for thread in others:
            thread.start()
        self._work()

    def _run_alone(self) -> None:
        self._leader = threading.get_ident()
        while not self._stopped:
            self._poll(wait=not self._ready)
            turn_ends = time.monotonic() + LONGEST_TURN
            while self._ready and not self._stopped and time.monotonic() < turn_ends:
                task = self._ready.popleft()
                self._begin(task)
                self._run(task)

    def _work(self) -> None:
        while True:
            with self._lock:
                task = self._next_role()
            if self._stopped:
                return
            if task is None:
                self._poll(wait=True)
                self._step_down()
            else:
                self._run(task)

    def _next_role(self) -> Task | None:
        """Wait for something to do; return a task to run, or None to lead."""
        while not self._stopped:
            if self._ready and len(self._running) < self._threads:
                task = self._ready.popleft()
                self._begin(task)
                # Whoever takes a task passes the word on: more tasks, or nobody leads.
                self._wanted.notify()
                return task
            if self._leader is None:
                self._leader = threading.get_ident()
                return None
            self._wanted.wait()
        self._wanted.notify_all()
        return None

    def _step_down(self) -> None:
        with self._lock:
            self._leader = None
            if self._stopped:
                self._wanted.notify_all()

    def _begin(self, task: Task) -> None:
        me = threading.get_ident()
        self._running[me] = Call(me, task, time.monotonic())

    def _run(self, task: Task) -> None:
        try:
            task.call()
        finally:
            del self._running[threading.get_ident()]
