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

_BODY: Final = b"503 Service Unavailable: too many requests wait for a thread\n"


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
        self._next_event = 0.0

    def refusal(self, wait: float, now: float) -> WSGIApplication:
        """Note one refusal, and return the application that answers it.

        Args:
            wait: how long those that wait are likely to need (seconds): what Retry-After says,
                as whole seconds from 1 to 60.
            now: the monotonic clock.
        """
        retry_after = min(LONGEST_RETRY, max(SHORTEST_RETRY, math.ceil(wait)))

        def answer(_environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
            fields = [
                ("Content-Type", "text/plain; charset=utf-8"),
                ("Retry-After", str(retry_after)),
            ]
            start_response("503 Service Unavailable", fields)
            return [_BODY]

        self._refused += 1
        if self._counters is not None:
            self._counters.add(REFUSED)
        self.report(now)
        return answer

    def report(self, now: float) -> None:
        """Log how many were refused since the last time, unless that was just now."""
        if not self._refused or now < self._next_event:
            return
        event(
            logging.WARNING,
            "overloaded",
            f"Refused {self._refused} requests with 503: all {self._threads} threads are taken, "
            f"and {self._backlog} requests wait (--backlog-requests)",
            refused=self._refused,
        )
        self._refused = 0
        self._next_event = now + EVENT_INTERVAL
