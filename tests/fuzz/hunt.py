"""One job of a fuzz: streams from a seed, each held against everything, and what was found."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tests.fuzz import corpus, read_ours
from tests.fuzz.compare import Disagreement, Finding, Reader, check
from tests.fuzz.differences import DIFFERENCES, explanation
from tests.fuzz.generate import Generator
from tests.fuzz.minimise import minimise

# A report that says nothing new is worth this many seconds.
_REPORT_EVERY: Final = 2.0
# The clock is read once for so many streams.
_BATCH: Final = 500


@dataclass(frozen=True)
class Found:
    """A finding: its kind, what it says of the smallest stream that shows it, and where it was.

    Attributes:
        seed: of the job.
        number: of the stream, from 1; so many inputs from the seed show it again.
    """

    kind: str
    text: str
    stream: bytes
    seed: int
    number: int


@dataclass
class Report:
    """What a job has done since its last report."""

    seed: int
    inputs: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    found: list[Found] = field(default_factory=list)
    done: bool = False


def hunt(
    seed: int,
    inputs: int | None = None,
    seconds: float | None = None,
    read: Reader = read_ours.read,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Report]:
    """Yield reports until so many inputs, or seconds, are over; the last one is done.

    Each kind of finding is told once.
    """
    random = Random(seed)
    generator = Generator(random, list(corpus.streams().values()))
    known: set[str] = set()
    report = Report(seed)
    number = 0
    began = reported = clock()
    while inputs is None or number < inputs:
        number += 1
        stream = generator.stream()
        report.inputs += 1
        try:
            disagreements = check(stream, random, explanation, read=read)
        except Finding as finding:
            if finding.kind not in known:
                known.add(finding.kind)
                report.found.append(_found(finding, stream, seed, number, read))
        else:
            for each in disagreements:
                report.explained[_name(each, stream)] += 1
        if number % _BATCH == 0 or report.found:
            now = clock()
            if seconds is not None and now - began >= seconds:
                break
            if report.found or now - reported >= _REPORT_EVERY:
                yield report
                report = Report(seed)
                reported = now
    report.done = True
    yield report


def _name(found: Disagreement, stream: bytes) -> str:
    difference = explanation(found, stream)
    assert difference is not None
    return f"{difference.peer} {difference.what}"


def names() -> list[str]:
    """Return the names that ``Report.explained`` counts under."""
    return [f"{each.peer} {each.what}" for each in DIFFERENCES]


def finding_of(stream: bytes, read: Reader = read_ours.read) -> Finding | None:
    """Return what a stream shows, cut byte by byte among other ways; None where all holds."""
    try:
        check(stream, Random(0), explanation, read=read, byte_by_byte=1.0)
    except Finding as finding:
        return finding
    return None


def _found(finding: Finding, stream: bytes, seed: int, number: int, read: Reader) -> Found:
    def shows(shorter: bytes) -> bool:
        other = finding_of(shorter, read)
        return other is not None and other.kind == finding.kind

    if shows(stream):
        stream = minimise(stream, shows)
        finding = finding_of(stream, read) or finding
    return Found(finding.kind, str(finding), stream, seed, number)
