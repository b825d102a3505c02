"""When a request may be sent once more, to another upstream: RFC 9110 §9.2.2 as a function."""

from __future__ import annotations

import enum

# "Of the request methods defined by this specification, PUT, DELETE, and safe request methods are
# idempotent." (RFC 9110 §9.2.2)
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})


class Failure(enum.Enum):
    """How an upstream failed."""

    UNREACHABLE = enum.auto()  # no connection: nothing was sent
    NOT_IN_TIME = enum.auto()  # no connection in time: nothing was sent
    LOST = enum.auto()  # sent; then the connection broke, or what came was no response
    SILENT = enum.auto()  # sent; then nothing came in time


# What the client is told where no other upstream helps (RFC 9110 §15.6.3, §15.6.5).
STATUSES = {
    Failure.UNREACHABLE: "502 Bad Gateway",
    Failure.NOT_IN_TIME: "504 Gateway Timeout",
    Failure.LOST: "502 Bad Gateway",
    Failure.SILENT: "504 Gateway Timeout",
}


class UpstreamError(Exception):
    """An upstream that gave no response, or not all of it."""

    def __init__(self, failure: Failure, reason: str) -> None:
        """Say how it failed, and in `reason` what a log line should tell."""
        super().__init__(reason)
        self.failure = failure


def may_retry(failure: Failure, method: str, *, has_body: bool) -> bool:
    """Return whether another upstream may be asked.

    Where nothing was sent, always. Where the connection broke, if the method is idempotent and
    there is no body, which has been read by then. Never after silence: the upstream may still be
    at work, and whoever waits has waited long enough.
    """
    if failure in (Failure.UNREACHABLE, Failure.NOT_IN_TIME):
        return True
    return failure is Failure.LOST and method in IDEMPOTENT and not has_body
