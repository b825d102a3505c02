"""The answer to requests that no thread is to be had for: 503, and an event that says so.

"The server is currently unable to handle the request due to a temporary overload […]. The server
MAY send a Retry-After header field to suggest an appropriate amount of time for the client to wait
before retrying the request." (RFC 9110 §15.6.4)
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from bascule.told.counters import Counters
from bascule.told.event_log import event
from bascule.told.metrics import REFUSED

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication

# An event this often at the most (seconds): an overload must not flood the log as well.
EVENT_INTERVAL: Final = 1.0
# What Retry-After may say (seconds). A whole number from 1 up; and nobody can tell what will be in
# more than a minute.
SHORTEST_RETRY: Final = 1
LONGEST_RETRY: Final = 60

_TOO_MANY: Final = b"503 Service Unavailable: too many requests wait for a thread\n"
_HUNG: Final = b"503 Service Unavailable: calls hang, and no thread is left for this one\n"


class Overload:
    """Answers requests instead of the application; to be used by one thread at a time.

    Args:
        threads: calls of the application that may run at the same time.
        backlog: requests that may wait for one of them.
        counters: count refusals; None for no metrics.
    """

    def __init__(self, threads: int, backlog: int, counters: Counters | None = None) -> None:
        self._threads = threads
        self._backlog = backlog
        self._counters = counters
        self._refused = 0
        self._refused_for_hung = 0
        self._next_event = 0.0

    def refusal(self, wait: float, now: float) -> WSGIApplication:
        """Note one refusal, and return the application that answers it.

        Args:
            wait: how long those that wait are likely to need (seconds): what Retry-After says,
                as whole seconds from 1 to 60; infinite where calls hang, and keep the threads.
            now: the monotonic clock.
        """
        retry_after = max(SHORTEST_RETRY, math.ceil(min(LONGEST_RETRY, wait)))
        is_for_hung = wait == math.inf

        def answer(_environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
            fields = [
                ("Content-Type", "text/plain; charset=utf-8"),
                ("Retry-After", str(retry_after)),
            ]
            start_response("503 Service Unavailable", fields)
            return [_HUNG if is_for_hung else _TOO_MANY]

        if is_for_hung:
            self._refused_for_hung += 1
        else:
            self._refused += 1
        if self._counters is not None:
            self._counters.add(REFUSED)
        self.report(now)
        return answer

    def report(self, now: float) -> None:
        """Log how many were refused since the last time, unless that was just now."""
        if now < self._next_event or not (self._refused or self._refused_for_hung):
            return
        for refused, why in (
            (
                self._refused,
                f"all {self._threads} threads are taken, and {self._backlog} requests wait "
                "(--backlog-requests)",
            ),
            (
                self._refused_for_hung,
                "calls hang (hung_request), and hold as many threads as can be replaced",
            ),
        ):
            if refused:
                words = f"Refused {refused} requests with 503: {why}"
                event(logging.WARNING, "overloaded", words, refused=refused)
        self._refused = self._refused_for_hung = 0
        self._next_event = now + EVENT_INTERVAL
