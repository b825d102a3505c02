"""A task, and the call that it is in. The crew knows no more of what it runs."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Collection, Hashable
from types import CodeType
from typing import NamedTuple, Protocol


class Task(Protocol):
    """Something to run, once, on a thread of the crew."""

    @property
    def kind(self) -> Hashable:
        """Tasks of one kind are expected to take about as long."""

    def call(self) -> None:
        """Run; called by any thread."""

    def settle(self) -> None:
        """Follow up; called by the leader."""

    def hand_back(self) -> None:
        """Follow up; called by a thread that does not lead."""

    def turn_away(self, wait: float) -> None:
        """Do without the call, for which too many wait; called by the leader.

        Args:
            wait: how long it is likely to take to run those that wait (seconds); infinite where it
                would wait for calls that hang.
        """

    def discard(self) -> None:
        """Clean up after a call that was abandoned; called by its thread once it has ended."""


class Call(NamedTuple):
    """A task that is running.

    Attributes:
        thread: the identifier of its thread.
        task: what runs.
        started: on the monotonic clock, in seconds.
        is_abandoned: nobody waits for its end any more.
    """

    thread: int
    task: Task
    started: float
    is_abandoned: bool = False

    def is_inside(self, codes: Collection[CodeType]) -> bool:
        """Return whether one of these functions is running on its thread right now."""
        frame = sys._current_frames().get(self.thread)
        while frame is not None:
            if frame.f_code in codes:
                return True
            frame = frame.f_back
        return False

    def stack(self) -> traceback.StackSummary:
        """Return where its thread is right now, innermost frame last; empty when it has ended."""
        frame = sys._current_frames().get(self.thread)
        return traceback.extract_stack(frame) if frame else traceback.StackSummary()
