"""A snapshot as one screenful for a terminal. Pure: no clock, no keyboard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.text import Text

from bascule_ops.observe.figures import figures
from bascule_ops.observe.history import History
from bascule_ops.observe.panels import (
    Choice,
    errors,
    findings,
    head,
    notes,
    requests,
    slow_calls,
    stack,
    workers,
)
from bascule_ops.observe.running import in_flight

MOST_FINDINGS: Final = 4  # checks that fail, where they must fit
MOST_NOTES: Final = 2
AIRY: Final = 32  # lines from which on there is room for blank ones
WIDE: Final = 100  # columns from which on there is room for more space between them
KEYS: Final = "q quit   ↑ ↓ choose a request   enter its stack"


def _section(title: str, content: RenderableType, amount: int = 0) -> list[RenderableType]:
    return [Text.assemble((title, "bold"), (f" {amount}" if amount else "", "dim")), content]


@dataclass(frozen=True, slots=True)
class Room:
    """How many rows each part may have, and whether blank lines stand between the parts."""

    airy: bool = True
    findings: int = 100
    notes: int = 100
    workers: int = 100
    requests: int = 100
    frames: int = 100
    others: int = 100


def room(history: History, choice: Choice, height: int) -> Room:
    """Share out the lines of a terminal. Requests in flight and their stacks go first."""
    document = history.latest
    airy = height >= AIRY
    failing = sum(not check["ok"] for check in document["checks"])
    shown = min(failing, MOST_FINDINGS if airy else MOST_FINDINGS // 2)
    noted = min(sum(check["note"] for check in document["checks"]), MOST_NOTES)
    sections = 2 if choice.unfolded else 4
    # The head, the checks, the figures, the keys; each section's title and its table's head.
    left = height - 1 - 2 * shown - noted - 3 - 1 - 2 * sections - (sections + 2 if airy else 0)
    workers = max(1, min(len(document["workers"]), left // 3))
    left -= workers
    waiting = max(1, len(in_flight(document)))
    if choice.unfolded:
        requests = max(1, min(waiting, left // 3))
        return Room(airy, shown, noted, workers, requests, max(1, left - requests - 1), 0)
    requests = max(1, min(waiting, left - 2, max(left // 2, left - 10)))
    return Room(airy, shown, noted, workers, requests, 0, max(1, (left - requests) // 2))


def screen(history: History, choice: Choice, console: Console, *, fits: bool) -> RenderableType:
    """Everything. With `fits` only as many rows as the terminal has lines for."""
    document = history.latest
    found = in_flight(document)
    space = room(history, choice, console.height) if fits else Room()
    gap = 2 if console.width >= WIDE else 1
    chosen = stack(document, choice, space.frames)
    waiting = requests(document, choice, space.requests, gap)
    sections = [
        [
            head(document),
            *findings(document, fits=fits)[: space.findings],
            *notes(document, fits=fits)[: space.notes],
        ],
        [figures(history, console.width)],
        [*_section("Requests in flight", waiting, len(found)), *([chosen] if chosen else [])],
        _section("Workers", workers(history, space.workers, gap), len(document["workers"])),
    ]
    if not chosen:
        sections += [
            _section("Where calls are slow", slow_calls(document, space.others, gap)),
            _section("Recent errors", errors(document, space.others, gap)),
        ]
    if fits:
        sections.append([Text(KEYS, "dim", no_wrap=True, overflow="ellipsis")])
    parts: list[RenderableType] = []
    for section in sections:
        parts += [Text(""), *section] if parts and space.airy else section
    return Group(*parts)
