"""The place where tests wait: for a fact, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

LIMIT: Final = 10.0  # seconds
INTERVAL: Final = 0.01  # seconds between two looks, no guess at how long something takes

Found = TypeVar("Found")


class NotInTimeError(AssertionError):
    """A fact has not come true: which one, in what time, and what was seen last."""


def wait_until(
    fact: Callable[[], Found],
    what: str,
    *,
    limit: float = LIMIT,
    passing: tuple[type[Exception], ...] = (),
    seen: Callable[[], object] | None = None,
    interval: float = INTERVAL,
    pause: Callable[[float], object] = time.sleep,
) -> Found:
    """Return the first true result of `fact`.

    Args:
        fact: looks once; asked at least once, whatever the limit.
        what: the fact, in words.
        limit: seconds.
        passing: exceptions of `fact` that mean no more than "not yet".
        seen: what was seen last; by default the last result of `fact`, or its exception.
        interval: seconds between two looks.
        pause: lets so many seconds go by, where more than the clock has to go on meanwhile.

    Raises:
        NotInTimeError: `limit` is over.
    """
    end = time.monotonic() + limit
    while True:
        try:
            found = fact()
        except passing as error:
            last = f"{type(error).__name__}: {error}"
        else:
            if found:
                return found
            last = repr(found)
        if time.monotonic() > end:
            shown = seen() if seen else last
            raise NotInTimeError(f"not within {limit:g} s: {what}; last seen: {shown}")
        pause(interval)
