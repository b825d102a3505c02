"""Rates as people write them, and the arithmetic that admits or refuses by them.

The arithmetic is the Generic Cell Rate Algorithm (ITU-T I.371, annex A): a token bucket of which
one number is kept, the theoretical arrival time, TAT: when the bucket will be full again. It works
on integers, nanoseconds of any clock that does not go back. It knows no clock, store or request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SECOND = 1_000_000_000
MILLISECOND = SECOND // 1000
PERIODS = {
    "second": SECOND,
    "minute": 60 * SECOND,
    "hour": 3600 * SECOND,
    "day": 86_400 * SECOND,
}

MAX_COUNT = 1_000_000  # a period; so an interval is 1 µs or more, the unit of Valkey's clock
MAX_CAPACITY = 100 * PERIODS["day"]  # in nanoseconds, exact in a Lua number: below 2^53

# rate = count "/" unit [ SP "burst" SP count ]
_RATE = re.compile(
    r"(?P<count>[0-9]{1,7})/(?P<unit>[a-z]+)(?: burst (?P<burst>[0-9]{1,7}))?"
).fullmatch


@dataclass(frozen=True, slots=True)
class Rate:
    """One request an `interval` in the long run, and a whole `capacity` of intervals at once.

    Both in nanoseconds; the capacity is the burst times the interval.
    """

    interval: int
    capacity: int

    @property
    def burst(self) -> int:
        """How many requests may come at once."""
        return self.capacity // self.interval

    @property
    def window(self) -> int:
        """Seconds in which a burst becomes available again."""
        return seconds(self.capacity)


def parse_rate(text: str) -> Rate:
    """Parse "100/minute" or "10/second burst 20"; without "burst" it is the count.

    Raises ValueError with a text for whoever wrote it.
    """
    match = _RATE(text)
    if not match or match["unit"] not in PERIODS:
        units = ", ".join(PERIODS)
        raise ValueError(
            f'"{text}" is not a rate; write it as in "100/minute" or "10/second burst 20" '
            f"(units: {units})"
        )
    count, burst = int(match["count"]), int(match["burst"] or match["count"])
    for number in (count, burst):
        if not 1 <= number <= MAX_COUNT:
            raise ValueError(f'"{text}": {number} is not between 1 and {MAX_COUNT}')
    # Rounded up, so that never more than the rate is admitted.
    interval = -(-PERIODS[match["unit"]] // count)
    rate = Rate(interval, burst * interval)
    if rate.capacity > MAX_CAPACITY:
        raise ValueError(f'"{text}": such a burst needs more than 100 days to come back')
    return rate


def credit(tat: int, now: int, capacity: int) -> int:
    """Return what may be spent at `now`, in nanoseconds: a request costs one interval.

    A request is admitted exactly where the credit is an interval or more.
    """
    return capacity - (tat - now) if tat > now else capacity


def spent(tat: int, now: int, interval: int) -> int:
    """Return the TAT after a request that is admitted at `now`."""
    return (tat if tat > now else now) + interval


def effective_window(credit_left: int, interval: int) -> int:
    """Return the seconds in which no more than the requests that are left should come.

    At the rate of the long run the whole requests in `credit_left` last this long. Where none is
    left, it is the time until one will be.
    """
    return seconds(interval + credit_left - 2 * (credit_left % interval))


def seconds(nanoseconds: int) -> int:
    """Return whole seconds, rounded up, at least one.

    Less than a millisecond over is not counted: the way of the next request takes longer, and it is
    what the rounding of an interval can add up to in a burst.
    """
    return max(1, -((MILLISECOND - nanoseconds) // SECOND))
