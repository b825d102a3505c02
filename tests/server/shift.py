"""A crew that works on a thread of its own, and the tasks and the loop that stand for the real ones."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable

from bascule.engine.call import Call
from bascule.engine.crew import Crew

LONG = 15.0  # a wait that takes longer has failed


class Turns:
    """Stands for the event loop: a turn does what was posted, and sleeps while nothing was."""

    def __init__(self) -> None:
        self._actions: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._one = threading.Lock()
        self.threads: Counter[int] = Counter()

    def post(self, action: Callable[[], None]) -> None:
        self._actions.put(action)

    def __call__(self, *, wait: bool) -> None:
        assert self._one.acquire(blocking=False), "two threads poll"
        try:
            self.threads[threading.get_ident()] += 1
            try:
                action = self._actions.get(block=wait)
            except queue.Empty:
                return
            action()
        finally:
            self._one.release()


class Work:
    """A task that notes what happens to it.

    Args:
        body: what it does.
        kind: tasks of one kind are expected to take as long.
    """

    def __init__(self, body: Callable[[], None] = lambda: None, kind: object = "work") -> None:
        self._body = body
        self.kind = kind
        self.notes: list[str] = []
        self.wait = 0.0
        self.threads: list[int] = []
        self.called = threading.Event()
        self.done = threading.Event()

    def call(self) -> None:
        self.threads.append(threading.get_ident())
        self.notes.append("call")
        self.called.set()
        self._body()

    def settle(self) -> None:
        self._end("settle")

    def hand_back(self) -> None:
        self._end("hand_back")

    def turn_away(self, wait: float) -> None:
        self.wait = wait
        self._end("turn_away")

    def discard(self) -> None:
        self._end("discard")

    def _end(self, note: str) -> None:
        self.threads.append(threading.get_ident())
        self.notes.append(note)
        self.done.set()


class Shift:
    """A crew that works on a thread of its own, and the loop that it leads.

    Args:
        threads: how many tasks may run at a time.
        backlog: how many may wait.
    """

    def __init__(self, threads: int, backlog: int = 1000) -> None:
        self.turns = Turns()
        self.slow: list[Call] = []
        self.noticed = threading.Event()
        self.ahead = 0.0  # seconds, of the real clock
        self.crew = Crew(threads, backlog, self.turns, self._on_slow, self._clock)
        self.raised: list[BaseException] = []
        self.thread = threading.Thread(target=self._run, name="shift", daemon=True)
        self.gates: list[threading.Event] = []

    def _clock(self) -> float:
        return time.monotonic() + self.ahead

    def _on_slow(self, call: Call) -> None:
        self.slow.append(call)
        self.noticed.set()

    def _run(self) -> None:
        try:
            self.crew.run()
        except BaseException as error:
            self.raised.append(error)

    def submit(self, *tasks: Work) -> None:
        """Have the leader submit tasks, all in one turn."""

        def action() -> None:
            for task in tasks:
                self.crew.submit(task)

        self.turns.post(action)

    def turn(self) -> bool:
        """Return whether the loop still turns."""
        turned = threading.Event()
        self.turns.post(turned.set)
        return turned.wait(LONG)

    def gate(self) -> threading.Event:
        """Return an event that is set when the shift ends, at the latest."""
        self.gates.append(threading.Event())
        return self.gates[-1]

    def __enter__(self) -> Shift:
        self.thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        for gate in self.gates:
            gate.set()
        self.turns.post(self.crew.stop)
        self.thread.join(LONG)
        assert not self.thread.is_alive(), "the crew goes on"
