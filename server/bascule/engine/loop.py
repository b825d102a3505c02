"""The event loop: a poller, what other threads ask of it, and the process's signals.

Facts about epoll that the code relies on (epoll(7)): level-triggered descriptors are reported as
long as they are ready; EPOLLERR and EPOLLHUP are reported whether asked for or not, so a
descriptor that nobody reads must be unregistered, not merely asked for nothing; a descriptor that
is closed leaves the set by itself.

Exactly one thread, the leader, polls at any time. ``call_soon`` is the only method that other
threads may use.

Nothing that the loop calls may end it (``bascule.guard``): what is raised is noted, and the turn
goes on. A handler that raises is called again, at once where its descriptor is still ready; one
that does nothing else is forgotten.

Where many descriptors are ready whose events cost much, all others would wait for them. So a
handler that has done much, or knows that nobody waits for an answer yet, puts its descriptor
*behind*, and says what this event cost: by what it was (bytes, fields), not by a clock, which on a
slow or busy machine takes everybody for costly. From then on its events wait in a queue, of which
each turn handles as much as makes up a fixed sum, in the order in which it came. An event whose
handler does not ask again ends that.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections import deque
from collections.abc import Callable

# By name: an application may replace the functions of the module, and stop every deadline.
from time import monotonic
from typing import Final

from bascule.errors import LoopError
from bascule.guard import Place

READABLE: Final = select.EPOLLIN
WRITABLE: Final = select.EPOLLOUT
# Of several processes that share a listening socket, one is woken for a connection.
EXCLUSIVE: Final = select.EPOLLEXCLUSIVE

# Events a turn, besides those behind; the rest is reported by the next, so a turn's length is
# bounded.
MAX_EVENTS: Final = 256

# What each turn has for events that wait behind the others: these wait so much longer. In the
# measure of whoever puts them behind; what a usual request costs is about thirty.
SHARE_BEHIND: Final = 512
# What an event costs that was put behind before and is cheap now.
CHEAP: Final = 16

FOR_EVER: Final = float("inf")

# Turns that may fail with none in between that comes to its tick: it is no accident any more.
FAILED_TURNS: Final = 1000
# Of one descriptor's events: so many, and its handler is not called any more.
FAILED_EVENTS: Final = 10

_WAKE: Final = b"\0"

_TURN: Final = Place("turn", "A turn of the event loop failed, and the next one follows")
_HANDLER: Final = Place("handler", "The server failed at a connection, which is given up")
_CALL: Final = Place("call", "A call that was left to the event loop failed")
_TICK: Final = Place("tick", "A tick failed, and the next one follows")
_SIGNAL: Final = Place("signal", "What a signal asks for could not be done")


def _ignore(*_arguments: int) -> None:
    pass


def _for_ever() -> float:
    return FOR_EVER


class _Behind:
    """Stands in for a handler whose descriptor is behind: events wait in a queue."""

    __slots__ = ("_mask", "_queue", "_waits", "cost", "descriptor", "handler")

    def __init__(
        self, descriptor: int, handler: Callable[[int], None], queue: deque[_Behind]
    ) -> None:
        self.descriptor = descriptor
        self.handler = handler
        self._queue = queue
        self._mask = 0
        self._waits = False
        self.cost = 0  # of the last event, if its handler asked to stay behind

    def __call__(self, mask: int) -> None:
        """Note an event, which is reported each turn until it is handled."""
        self._mask = mask
        if not self._waits:
            self._waits = True
            self._queue.append(self)

    def handle(self) -> None:
        """Handle what was noted last."""
        self._waits = False
        self.cost = 0
        self.handler(self._mask)


class Loop:
    """Calls handlers when their descriptors are ready.

    Args:
        tick: seconds between two calls of ``on_tick``; also the longest a poll waits.

    Attributes:
        now: the monotonic clock in seconds, read once a turn.
        on_turn: called at the beginning of each turn, before it waits; returns for how long it may
            wait at the most (seconds).
        on_tick: called about every ``tick`` seconds.
        on_signal: called with the number of each signal that arrived.
    """

    def __init__(self, tick: float) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._calls: deque[Callable[[], None]] = deque()
        self._behind: deque[_Behind] = deque()
        self._tick = tick
        self._asleep = False
        # Since the last tick: turns, and events by their descriptors.
        self._failed_turns = 0
        self._failed: dict[int, int] = {}
        self._is_interrupted = False
        self._wake_reader, self._wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.now = monotonic()
        self._next_tick = self.now + tick
        self.on_turn: Callable[[], float] = _for_ever
        self.on_tick: Callable[[], None] = _ignore
        self.on_signal: Callable[[int], None] = _ignore
        self.register(self._wake_reader, self._on_wake)

    def register(
        self, descriptor: int, handler: Callable[[int], None], events: int = READABLE
    ) -> None:
        """Call ``handler`` with the events' mask whenever the descriptor is ready."""
        self._handlers[descriptor] = handler
        self._epoll.register(descriptor, events)

    def modify(self, descriptor: int, events: int) -> None:
        """Wait for other events."""
        self._epoll.modify(descriptor, events)

    def call_behind(self, descriptor: int, handler: Callable[[int], None]) -> None:
        """Put another handler behind, and call it whether there is an event or not."""
        self._handlers[descriptor] = behind = _Behind(descriptor, handler, self._behind)
        behind(0)

    def hand_over(self, descriptor: int, handler: Callable[[int], None]) -> None:
        """Call another handler from now on, for the same events, behind or not as before."""
        behind = self._handlers[descriptor]
        if type(behind) is _Behind:
            behind.handler = handler
        else:
            self._handlers[descriptor] = handler

    def unregister(self, descriptor: int) -> None:
        """Forget a descriptor that is still open."""
        if self._handlers.pop(descriptor, None) is not None:
            with contextlib.suppress(OSError):
                self._epoll.unregister(descriptor)

    def put_behind(self, descriptor: int, cost: int) -> None:
        """Handle events after those of others, until a handler does not ask for it.

        Args:
            descriptor: whose event is being handled.
            cost: of that event, as ``SHARE_BEHIND`` has it; more than 0.
        """
        handler = self._handlers[descriptor]
        if type(handler) is _Behind:
            handler.cost = cost
        else:
            self._handlers[descriptor] = _Behind(descriptor, handler, self._behind)

    def watch_signals(self, *numbers: signal.Signals) -> None:
        """Have signals reported to ``on_signal``; to be called by the main thread, again and again.

        The interpreter's C handler writes the signal's number to the wake-up pipe at once,
        whatever the main thread is doing. The first SIGINT also restores the default action, so
        that a second one ends a process that is stuck.
        """
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        for number in numbers:
            if number != signal.SIGINT or not self._is_interrupted:
                signal.signal(number, self._note_signal)

    def _note_signal(self, number: int, _frame: object) -> None:
        if number == signal.SIGINT:
            self._is_interrupted = True
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        if signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False) != self._wake_writer:
            # The C handler has not written it: somebody had taken the descriptor away.
            with contextlib.suppress(BlockingIOError):
                os.write(self._wake_writer, bytes([number]))

    def call_soon(self, call: Callable[[], None]) -> None:
        """Have the leader call something; any thread may ask, and in order."""
        self._calls.append(call)
        # Both sides first say what they did, then look at what the other one did: either this
        # thread sees the leader asleep, or the leader sees the call.
        if self._asleep:
            self._asleep = False
            with contextlib.suppress(BlockingIOError):  # a full pipe wakes as well
                os.write(self._wake_writer, _WAKE)

    def poll(self, *, wait: bool = True) -> None:
        """Act on the events there are; wait for some, if told to, at most until the next tick.

        Those that are behind may be left to the turns that follow.

        Raises:
            LoopError: turns fail and fail, as they do without a poller.
        """
        try:
            most = MAX_EVENTS
            if self._behind:
                self._catch_up()
                wait = False  # there may be more, and who polls may have something to do now
                # Those that are behind are reported again, and must not keep others from being so.
                most += len(self._behind)
            timeout = self.on_turn()
            self._asleep = wait
            if not wait or self._calls:
                timeout = 0.0
            elif (until_tick := self._next_tick - self.now) < timeout:
                timeout = until_tick
            events = self._epoll.poll(timeout, most)
            self._asleep = False
            self.now = now = monotonic()
            handlers = self._handlers
            for descriptor, mask in events:
                # A handler that ran before may have closed this one.
                handler = handlers.get(descriptor)
                if handler is not None:
                    try:
                        handler(mask)
                    except BaseException as error:
                        self._note_failed(descriptor, error)
            calls = self._calls
            if calls:  # else even an empty loop costs something
                self._make_calls(calls)
            if now >= self._next_tick:
                self._next_tick = now + self._tick
                self._failed_turns = 0
                self._failed.clear()
                try:
                    self.on_tick()
                except BaseException as error:
                    _TICK.note(error)
        except BaseException as error:
            _TURN.note(error)
            self._failed_turns += 1
            if self._failed_turns >= FAILED_TURNS:
                raise LoopError(f"{FAILED_TURNS} turns in a row failed") from error

    @staticmethod
    def _make_calls(calls: deque[Callable[[], None]]) -> None:
        """Make the calls that were asked for by now."""
        for _ in range(len(calls)):
            try:
                calls.popleft()()
            except BaseException as error:
                _CALL.note(error)

    def _note_failed(self, descriptor: int, error: BaseException) -> None:
        """Note that a handler failed; call it no more if it does nothing else."""
        _HANDLER.note(error)
        self._failed[descriptor] = self._failed.get(descriptor, 0) + 1
        if self._failed[descriptor] >= FAILED_EVENTS:
            self.unregister(descriptor)

    def _catch_up(self) -> None:
        """Handle events that are behind, one at least, while the turn's share lasts."""
        handlers, queue = self._handlers, self._behind
        left = SHARE_BEHIND
        while queue and left > 0:
            each = queue.popleft()
            if handlers.get(each.descriptor) is not each:
                continue  # forgotten, and perhaps another one by now
            try:
                each.handle()
            except BaseException as error:
                self._note_failed(each.descriptor, error)
            left -= each.cost or CHEAP
            if not each.cost and handlers.get(each.descriptor) is each:
                handlers[each.descriptor] = each.handler

    def close(self) -> None:
        """Give the poller and the pipe back."""
        writer, self._wake_writer = self._wake_writer, -1  # a signal may still be noted
        signal.set_wakeup_fd(-1)
        self._epoll.close()
        os.close(self._wake_reader)
        os.close(writer)

    def let_go(self) -> None:
        """Give the descriptors back in a forked process, without a word to the poller."""
        self._asleep = False
        self._epoll.close()
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    def _on_wake(self, _mask: int) -> None:
        for number in os.read(self._wake_reader, 4096):
            if number:
                try:
                    self.on_signal(number)
                except BaseException as error:
                    _SIGNAL.note(error)
