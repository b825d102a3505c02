"""Where calls of the application spend their time: samples, logged and added up by location."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from bascule.engine.call import Call
from bascule.engine.connection import Connection
from bascule.engine.expectations import SLOW
from bascule.engine.service import Service
from bascule.told.event_log import event, timestamp
from bascule.watch.in_flight import calls, identity
from bascule.watch.stacks import Stack, stacks

# An event this often at the most (seconds): what is slow must not flood the log as well.
EVENT_INTERVAL: Final = 1.0
# Locations that are kept; of more, the one that was seen longest ago goes.
LOCATIONS: Final = 50


class Location:
    """Samples that found a call in one place.

    Attributes:
        count: samples.
        seconds: that the calls had taken, each counted from its sample before, without the time
            in which they waited for their clients.
        last: the last one's moment, in seconds since the epoch.
        path: of the last one's request.
    """

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0
        self.last = 0.0
        self.path = ""


class _Seen:
    """What is known of a call from earlier looks: its ages, in seconds."""

    def __init__(self) -> None:
        self.sampled = 0.0
        self.next_event = 0.0  # from which on it is worth an event


class SlowCalls:
    """Samples the calls that are slow.

    Args:
        service: whose calls they are.
        totals: whether anybody will ask for the sums.
    """

    def __init__(self, service: Service, *, totals: bool) -> None:
        self._service = service
        self._totals = totals
        self._next_event = 0.0
        # Under the lock, which is held for as long as these are changed or copied.
        self._lock = threading.Lock()
        self._locations: dict[str, Location] = {}
        self._seen: dict[tuple[int, float], _Seen] = {}

    def on_slow(self, call: Call) -> None:
        """Sample a call that was not expected to be slow; called by the new leader."""
        now = time.monotonic()
        is_silent = now < self._next_event
        if is_silent and not self._totals:
            return
        stack = stacks([call.thread]).get(call.thread)
        if stack is None or stack.in_server:
            return  # the thread has ended, or the application has nothing to do with it
        age = _age(call, now)
        if self._totals:
            self._add(call, stack, age)
        if not is_silent:
            self._next_event = now + EVENT_INTERVAL
            self._report(call, stack, age)()

    def look(self) -> None:
        """Sample all calls that are slow by now; called now and then, by one thread.

        Calls that are expected to be slow surprise nobody, so this is what finds them. The thread
        is none that may wait for the log: the leader writes the event.
        """
        now = time.monotonic()
        running = calls(self._service)
        slow = [(age, call) for call in running if (age := _age(call, now)) >= SLOW]
        found = stacks([call.thread for _, call in slow])
        samples = [
            (age, call, stack)
            for age, call in slow
            if (stack := found.get(call.thread)) and not stack.in_server
        ]
        for age, call, stack in samples:
            self._add(call, stack, age)
        with self._lock:
            known = set(map(_key, running))
            self._seen = {key: seen for key, seen in self._seen.items() if key in known}
        if now < self._next_event:
            return
        # Of those whose age has doubled since they were last logged, the oldest.
        due = [each for each in samples if each[0] >= self._seen_of(each[1]).next_event]
        if due:
            age, call, stack = max(due, key=lambda each: each[0])
            self._next_event = now + EVENT_INTERVAL
            self._service.loop.call_soon(self._report(call, stack, age))

    def summary(self) -> list[dict[str, Any]]:
        """Return the locations, the one that cost most time first."""
        with self._lock:
            items = sorted(self._locations.items(), key=lambda item: -item[1].seconds)
            return [
                {
                    "location": location,
                    "count": each.count,
                    "total_s": round(each.seconds, 3),
                    "last": timestamp(each.last),
                    "path": each.path,
                }
                for location, each in items
            ]

    def _add(self, call: Call, stack: Stack, age: float) -> None:
        path = identity(call)["path"]
        with self._lock:
            seen = self._seen.setdefault(_key(call), _Seen())
            found = self._locations.get(stack.location)
            if found is None:
                if len(self._locations) >= LOCATIONS:
                    oldest = min(self._locations, key=lambda name: self._locations[name].last)
                    del self._locations[oldest]
                found = self._locations[stack.location] = Location()
            found.count += 1
            found.seconds += age - seen.sampled
            found.last = time.time()
            found.path = path
            seen.sampled = age

    def _seen_of(self, call: Call) -> _Seen:
        return self._seen.get(_key(call)) or _Seen()

    def _report(self, call: Call, stack: Stack, age: float) -> Callable[[], None]:
        """Return what logs a sample."""
        about = identity(call)
        self._seen_of(call).next_event = 2 * age
        request = (
            f"{about['method']} {about['path']}" if about["method"] else "a request that ended"
        )

        def report() -> None:
            event(
                logging.INFO,
                "slow_call",
                f"{request} is slow: {stack.location}",
                **about,
                location=stack.location,
                frames=stack.frames,
                age_s=round(age, 3),
            )

        return report


def _key(call: Call) -> tuple[int, float]:
    return call.thread, call.started


def _age(call: Call, now: float) -> float:
    """Return for how long the application has had a call, given up or not (seconds)."""
    if isinstance(call.task, Connection) and not call.is_abandoned:
        return call.task.working_time(call, now)
    return now - call.started
