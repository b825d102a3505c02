"""The stack, live in a terminal."""

from __future__ import annotations

import argparse
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from rich.console import Console
from rich.live import Live

from bascule_ops.errors import NotRunning
from bascule_ops.observe import keys, snapshot
from bascule_ops.observe.history import History
from bascule_ops.observe.panels import Choice
from bascule_ops.observe.running import in_flight
from bascule_ops.observe.screen import screen
from bascule_ops.observe.settings import from_environ
from bascule_ops.program import spelled

PERIOD: Final = 2.0  # seconds between two snapshots
ONCE: Final = 1.0  # seconds that a single frame's rates are of
TURN: Final = 0.25  # seconds until a snapshot that came is shown
PAGE: Final = 10  # requests
WIDTH: Final = 120  # columns of what is printed elsewhere than on a terminal

Take = Callable[[], dict[str, Any]]


class Snapshots:
    """Takes a snapshot every `period` seconds in a thread, so that keys never wait for one."""

    def __init__(self, take: Take, period: float) -> None:
        self._take = take
        self._period = period
        self._taken: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._failure: Exception | None = None
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            while True:
                began = time.monotonic()
                self._taken.put(self._take())
                time.sleep(max(0.0, began + self._period - time.monotonic()))
        except Exception as error:
            self._failure = error

    def arrived(self) -> list[dict[str, Any]]:
        """Those that were taken since the last call. Raises what kept one from being taken."""
        if self._failure:
            raise self._failure
        return [self._taken.get() for _ in range(self._taken.qsize())]


def pressed(key: str, choice: Choice, amount: int) -> Choice:
    """What is chosen after a key, of `amount` requests in flight."""
    steps = {"up": -1, "down": 1, "page up": -PAGE, "page down": PAGE}
    steps |= {"home": -amount, "end": amount}
    number = max(0, min(choice.number + steps.get(key, 0), amount - 1))
    return Choice(number, choice.unfolded ^ (key == "enter"))


def followed(before: dict[str, Any], after: dict[str, Any], choice: Choice) -> Choice:
    """The same request in the next snapshot; where it has ended, whoever has its place."""
    then, now = in_flight(before), in_flight(after)
    if choice.number < len(then):
        chosen = _identity(then[choice.number])
        for number, request in enumerate(now):
            if _identity(request) == chosen:
                return Choice(number, choice.unfolded)
    return Choice(max(0, min(choice.number, len(now) - 1)), choice.unfolded and bool(now))


def _identity(request: dict[str, Any]) -> tuple[str, ...]:
    return request["worker"], request["request_id"], request["thread"], request["target"]


def show_live(take: Take, console: Console) -> None:
    """Follow the stack until q is pressed."""
    # As ^C: whoever ends it gets the terminal back as it was.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    history, choice = History(), Choice()
    terminal = sys.stdin.fileno()
    history.add(take())
    snapshots = Snapshots(take, PERIOD)
    view = Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop")
    with keys.single_keys(terminal), view:
        size = None
        changed = True
        while True:
            if changed or console.size != size:
                size = console.size
                view.update(screen(history, choice, console, fits=True), refresh=True)
            changed = False
            for key in keys.read(terminal, TURN):
                if key == "quit":
                    return
                choice, changed = pressed(key, choice, len(in_flight(history.latest))), True
            for document in snapshots.arrived():
                choice, changed = followed(history.latest, document, choice), True
                history.add(document)


def show_once(first: dict[str, Any], take: Take, console: Console) -> None:
    """Print one frame, of the time between a snapshot and the next."""
    history = History()
    history.add(first)
    time.sleep(ONCE)
    history.add(take())
    console.print(screen(history, Choice(), console, fits=False))


def run(arguments: argparse.Namespace) -> int:
    """Show the stack; return the exit status."""
    settings = from_environ()
    try:
        first = snapshot.take(settings)
        if not snapshot.runs(first):
            raise NotRunning(spelled("the stack does not run; ops/up starts it"))
        colours = {"always": True, "never": False, "auto": None}[arguments.colour]
        wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH
        console = Console(
            force_terminal=colours, no_color=colours is False or None, width=wide, highlight=False
        )
        take = lambda: snapshot.take(settings)  # noqa: E731 (a name would say no more)
        live = sys.stdin.isatty() and sys.stdout.isatty() and not arguments.once
        if live:
            show_live(take, console)
        else:
            show_once(first, take, console)
    except KeyboardInterrupt:
        pass
    return 0
