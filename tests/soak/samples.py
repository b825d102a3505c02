"""Samples of workers' memory and descriptors, and how they grow over time."""

from __future__ import annotations

import contextlib
import math
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Final

MEBIBYTE: Final = 1024 * 1024
HOUR: Final = 3600.0
# Of a process's life (seconds): memos fill up meanwhile, and of each thread what the C library
# keeps for it, which grows by the largest body that it has had.
WARM_UP: Final = 240.0
# Samples of so long a time (seconds) count as one, their mean: memory that was taken stays taken
# for minutes, so each says little more than the one before. A round of faults is about as long.
BLOCK: Final = 120.0
# Of those, beyond what a line and its levels take, to say anything of how sure the line is.
FEWEST: Final = 3
# Of the normal distribution: 95 % lie within so many standard errors.
Z95: Final = 1.96


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at one process; ``since`` is the time since its first sample (seconds)."""

    worker: str
    pid: int
    since: float
    memory: int
    descriptors: int


@dataclass(frozen=True, slots=True)
class Slope:
    """A growth an hour, with the half width of its interval of about 95 %."""

    an_hour: float
    within: float

    def __str__(self) -> str:
        return f"{self.an_hour:+.2f} ± {self.within:.2f}"


class Sampler:
    """Looks at workers, again and again."""

    def __init__(self) -> None:
        self._first: dict[int, float] = {}
        self.samples: list[Sample] = []

    def look(self, workers: Mapping[str, int], now: float) -> None:
        """Take a sample of each worker; one that has just ended has none."""
        page = os.sysconf("SC_PAGE_SIZE")
        for worker, pid in workers.items():
            with contextlib.suppress(OSError, IndexError):
                memory = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page
                descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
                since = now - self._first.setdefault(pid, now)
                self.samples.append(Sample(worker, pid, since, memory, descriptors))


def of_worker(samples: Sequence[Sample], worker: str) -> list[Sample]:
    """Return one worker's samples, of all its processes."""
    return [each for each in samples if each.worker == worker]


def slope(samples: Sequence[Sample], figure: str, unit: float = 1.0) -> Slope | None:
    """Return how much a figure grows in an hour; None where too little is known.

    One line for all lives of a worker: each has a level of its own, and all have one slope.
    """
    blocks: dict[tuple[int, int], list[Sample]] = defaultdict(list)
    for each in samples:
        if each.since >= WARM_UP:
            blocks[each.pid, int(each.since // BLOCK)].append(each)
    lives: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for (pid, _), block in blocks.items():
        at = fmean(each.since for each in block) / HOUR
        lives[pid].append((at, fmean(getattr(each, figure) for each in block) / unit))
    xs: list[float] = []
    ys: list[float] = []
    for life in lives.values():
        mean_x, mean_y = (fmean(each) for each in zip(*life, strict=True))
        xs += [x - mean_x for x, _ in life]
        ys += [y - mean_y for _, y in life]
    spread = sum(x * x for x in xs)
    free = len(xs) - len(lives) - 1
    if free < FEWEST or spread == 0.0:
        return None
    an_hour = sum(x * y for x, y in zip(xs, ys, strict=True)) / spread
    error = sum((y - an_hour * x) ** 2 for x, y in zip(xs, ys, strict=True))
    # Student's distribution where there are few, by the first term of its expansion.
    errors = Z95 * (1 + (Z95**2 + 1) / (4 * free))
    return Slope(an_hour, errors * math.sqrt(error / free / spread))
