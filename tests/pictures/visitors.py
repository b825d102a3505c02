"""A bounded load on the loopback: many quick requests, and some of those that go wrong."""

from __future__ import annotations

import threading
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from tests.harness import fetch

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS: Final = 4
PAUSE: Final = 0.02  # seconds between two requests of a client
LIMIT: Final = 60.0  # seconds for an answer
# Of every twelve requests.
WALK: Final = ("/", "/picture/1", "/", "/picture/2", "/nothing", "/picture/3") + ("/picture/4",) * 6
REPORT_EVERY: Final = 1.5  # seconds
BASKET_EVERY: Final = 4.0


def ask(port: int, method: str, path: str) -> None:
    """Send one request; whatever comes of it."""
    with suppress(*fetch.NO_RESPONSE):
        fetch.fetch(port, path, method, limit=LIMIT)


@contextmanager
def shopping(port: int) -> Iterator[None]:
    """Have people in the shop while the block runs."""
    over = threading.Event()

    def walk(number: int) -> None:
        step = number
        with closing(fetch.connect(port, limit=LIMIT)) as connection:
            while not over.wait(PAUSE):
                # By turns more and less, so that there is something to see.
                if int(time.monotonic() / 5) % 3 < number % 3:
                    continue
                step += 1
                fetch.ask(connection, WALK[step % len(WALK)])

    def every(seconds: float, path: str) -> None:
        while not over.wait(seconds):
            ask(port, "GET", path)

    people = [threading.Thread(target=walk, args=(number,)) for number in range(CLIENTS)]
    people += [
        threading.Thread(target=every, args=(REPORT_EVERY, "/report")),
        threading.Thread(target=every, args=(BASKET_EVERY, "/basket")),
    ]
    for each in people:
        each.start()
    try:
        yield
    finally:
        over.set()
        for each in people:
            each.join()
