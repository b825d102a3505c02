"""What must not end a process: where it fails, that is noted, told, counted, and survived.

A worker serves many clients, and what fails is one thing: a part of a tick, a handler of one
descriptor, a log handler of the application's. So whatever the server calls again and again is
called at a *place*, which is known here by its name:

    try:
        part()
    except BaseException as error:
        PLACE.note(error)

``BaseException``, since an application has more ways to raise than mistakes: a signal's handler
may raise in the main thread at any moment, and ``PyThreadState_SetAsyncExc`` in any other.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import Any, Final, NamedTuple

# What fails again and again is told this often at the most (seconds): it must not fill the log.
TELL_INTERVAL: Final = 10.0
# Characters of an error that are kept; it may quote what it failed on.
ERROR_SIZE: Final = 200


class Failure(NamedTuple):
    """Something failed, and the process goes on.

    Attributes:
        place: its name.
        meaning: one sentence, for people: what failed, and what of it is lost.
        error: what was raised.
        kept_back: how many more were at this place since the last that was told.
    """

    place: str
    meaning: str
    error: BaseException
    kept_back: int


Listener = Callable[[Failure], None]

_places: Final[dict[str, Place]] = {}
_tellers: Final[list[Listener]] = [lambda failure: traceback.print_exception(failure.error)]
_counters: Final[list[Callable[[], None]]] = []


class Place:
    """Where something may fail; made once, with the module that has it.

    Args:
        name: stable, for machines.
        meaning: one sentence, for people: what failed, and what of it is lost.

    Attributes:
        count: how often it has failed in this process.
        last: when it did last, in seconds since the epoch.
        error: what was raised then, as one line.
    """

    def __init__(self, name: str, meaning: str) -> None:
        if name in _places:
            raise ValueError(f"there are two places named {name}")
        self.name = name
        self.meaning = meaning
        self.count = 0
        self.last = 0.0
        self.error = ""
        self._told = 0
        self._next = 0.0
        _places[name] = self

    def note(self, error: BaseException) -> None:
        """Count a failure, and tell of it unless that was done just now; never raises."""
        self.count += 1
        try:
            for count in _counters:
                count()
            self.last = time.time()
            self.error = _in_words(error)
            now = time.monotonic()
            if now < self._next:
                return
            # First of all, since to tell may be what fails.
            self._next = now + TELL_INTERVAL
            failure = Failure(self.name, self.meaning, error, self.count - self._told - 1)
            self._told = self.count
            for tell in _tellers:
                tell(failure)
        except BaseException:
            return  # it is counted


def places() -> tuple[Place, ...]:
    """Return every place there is, by name."""
    return tuple(_places[name] for name in sorted(_places))


def failures() -> list[dict[str, Any]]:
    """Return the places that have failed, the latest first, fit for JSON but for the time."""
    failed = [place for place in places() if place.count]
    return [
        {"place": each.name, "count": each.count, "last": each.last, "error": each.error}
        for each in sorted(failed, key=lambda each: -each.last)
    ]


def total() -> int:
    """Return how often anything has failed in this process."""
    return sum(place.count for place in _places.values())


def tell(listener: Listener) -> None:
    """Have a failure told, where it is due; the listener may be called by any thread."""
    _tellers[:] = [listener]


def count(counter: Callable[[], None]) -> None:
    """Have each failure counted; the counter may be called by any thread."""
    _counters[:] = [counter]


def _in_words(error: BaseException) -> str:
    name = type(error).__name__
    try:
        text = " ".join(str(error).split())
    except BaseException:  # an application's exception may do anything
        text = ""
    return (f"{name}: {text}" if text else name)[:ERROR_SIZE]
