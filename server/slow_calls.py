"""Where calls of the application spend their time: samples, logged and added up by location."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from server.crew import SLOW, Call
from server.event_log import event, timestamp
from server.in_flight import calls, identity
from server.service import Service
from server.stacks import Stack, stacks

# An event this often at the most (seconds): what is slow must not flood the log as well.
EVENT_INTERVAL: Final = 1.0
# Locations that are kept; of more, the one that was seen longest ago goes.
LOCATIONS: Final = 50


@dataclass
class Location:
    """Samples that found a call in one place.

    Attributes:
        count: samples.
        seconds: that the calls had taken, each counted from its sample before.
        last: the last one's moment, in seconds since the epoch.
        path: of the last one's request.
    """

    count: int = 0
    seconds: float = 0.0
    last: float = 0.0
    path: str = ""


@dataclass
class _Seen:
    """What is known of a call from earlier looks, on the monotonic clock and in seconds."""

    sampled: float
    next_event: float = 0.0  # the age from which on it is worth an event


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
        if stack is None:
            return  # the thread has ended
        if self._totals:
            self._add(call, stack, now)
        if not is_silent:
            self._next_event = now + EVENT_INTERVAL
            self._report(call, stack, now)()

    def look(self) -> None:
        """Sample all calls that are slow by now; called now and then, by one thread.

        Calls that are expected to be slow surprise nobody, so this is what finds them. The thread
        is none that may wait for the log: the leader writes the event.
        """
        now = time.monotonic()
        slow = [call for call in calls(self._service) if now - call.started >= SLOW]
        found = stacks([call.thread for call in slow])
        slow = [call for call in slow if call.thread in found]
        for call in slow:
            self._add(call, found[call.thread], now)
        with self._lock:
            known = {_key(call) for call in slow}
            self._seen = {key: seen for key, seen in self._seen.items() if key in known}
        if now >= self._next_event and (call_to_report := self._worth_an_event(slow, now)):
            self._next_event = now + EVENT_INTERVAL
            stack = found[call_to_report.thread]
            self._service.loop.call_soon(self._report(call_to_report, stack, now))

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

    def _add(self, call: Call, stack: Stack, now: float) -> None:
        path = identity(call)["path"]
        with self._lock:
            seen = self._seen.setdefault(_key(call), _Seen(sampled=call.started))
            found = self._locations.get(stack.location)
            if found is None:
                if len(self._locations) >= LOCATIONS:
                    oldest = min(self._locations, key=lambda name: self._locations[name].last)
                    del self._locations[oldest]
                found = self._locations[stack.location] = Location()
            found.count += 1
            found.seconds += now - seen.sampled
            found.last = time.time()
            found.path = path
            seen.sampled = now

    def _worth_an_event(self, slow: list[Call], now: float) -> Call | None:
        """Choose the oldest of those whose age has doubled since they were last logged."""
        due = [call for call in slow if now - call.started >= self._seen_of(call).next_event]
        return min(due, key=lambda call: call.started, default=None)

    def _seen_of(self, call: Call) -> _Seen:
        return self._seen.get(_key(call)) or _Seen(sampled=call.started)

    def _report(self, call: Call, stack: Stack, now: float) -> Callable[[], None]:
        """Return what logs a sample."""
        about, age = identity(call), now - call.started
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
