"""Replace one worker within its generation: its successor starts beside it, and takes over.

supervisord.conf has two programs for each worker, ``worker-N`` and ``successor-N``, which are the
same. One of them runs; the other is started beside it, held back, and tried. When it answers it
takes the socket over, and then the one before it drains. So a worker serves until another one does,
be it the only one; where no successor can be started, it goes on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bascule_ops.settings import variables
from bascule_ops.supervision import starts
from bascule_ops.supervision.client import (
    ENDED,
    SUCCESSOR,
    WORKER,
    WORKERS,
    State,
    Supervisor,
)
from bascule_ops.supervision.operation import Operation, Tell
from bascule_ops.supervision.trial import HOLD_FILE, POLL, Generation, NotReadyError

HELD = "until a successor answers\n"  # in the file by which workers are held back
STOP_MARGIN = 10  # seconds that supervisord may need on top of its stopwaitsecs


class Succession:
    """Replaces the workers of a supervisord, one at a time.

    Args:
        supervisor: theirs.
        supervisor_dir: where it has its files.
        trial: of the processes of these names.
        start_limit: seconds for a successor to answer; the one before it serves meanwhile.
        stop_limit: seconds for one worker to end.
        tell: is told whose turn it is.
        pause: sleeps for so many seconds.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        supervisor_dir: Path,
        trial: Callable[[Collection[str]], Generation],
        *,
        start_limit: float,
        stop_limit: float,
        tell: Tell,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._supervisor = supervisor
        self._hold = supervisor_dir / HOLD_FILE
        self._trial = trial
        self._start_limit = start_limit
        self._stop_limit = stop_limit
        self._tell = tell
        self._pause = pause

    def replace(self, name: str, *, is_silent: bool = False) -> str:
        """Replace the worker that runs, or ran, as `name`; return what has become of it.

        `is_silent`: it may finish nothing, so nobody waits for that. Raises `NotReadyError` where
        no successor serves; then it goes on.
        """
        number = name.rpartition("-")[2]
        worker = f"worker-{number}"
        successor = (SUCCESSOR if name.startswith(WORKER) else WORKER) + number
        self._tell(Operation(kind="restart", process=worker, number=1, of=1))
        began = time.monotonic()
        before = self._supervisor.process(f"{WORKERS}:{name}")["pid"]
        generation = self._trial((successor,))
        with self._held():
            self._start(successor, generation)
        generation.check_all()
        ready = time.monotonic()
        with self._held():  # one that ends just now, and is started again, does not take it back
            self._stop(name)
        if not is_silent:
            self._wait_for_end(name)
        after = self._supervisor.process(f"{WORKERS}:{successor}")["pid"]
        drained = "" if is_silent else f", drained in {time.monotonic() - ready:.1f} s"
        return (
            f"{worker} is back: process {before or 'none'} -> {after},"
            f" ready in {ready - began:.1f} s{drained}"
        )

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Keep workers from sockets on which others answer."""
        if is_held_by_others(self._hold):
            raise NotReadyError("another generation takes over")
        self._hold.write_text(HELD)
        try:
            yield
        finally:
            if not is_held_by_others(self._hold):
                self._hold.unlink(missing_ok=True)

    def _start(self, successor: str, generation: Generation) -> None:
        """Start a successor, and wait until it answers."""
        if self._state(successor) == State.STOPPING:  # it was replaced, and nobody waited for it
            self._wait_for_end(successor)
        if self._has_ended(successor):  # else of an attempt that was cut short
            self._supervisor.start(f"{WORKERS}:{successor}")
        try:
            generation.try_all(self._start_limit)
        except NotReadyError:
            self._stop(successor)
            self._wait_for_end(successor)
            raise

    def _state(self, name: str) -> int:
        return self._supervisor.process(f"{WORKERS}:{name}")["state"]

    def _has_ended(self, name: str) -> bool:
        return self._state(name) in ENDED

    def _stop(self, name: str) -> None:
        if not self._has_ended(name):
            self._supervisor.stop(f"{WORKERS}:{name}")

    def _wait_for_end(self, name: str) -> None:
        deadline = time.monotonic() + self._stop_limit
        while not self._has_ended(name):
            if time.monotonic() > deadline:
                raise NotReadyError(f"{name} did not stop within {self._stop_limit:g} s")
            self._pause(POLL)


def is_held_by_others(hold: Path) -> bool:
    """Whether another generation takes over, which has the workers here held for good."""
    try:
        return hold.read_text() != HELD
    except FileNotFoundError:
        return False


def from_environment(tell: Tell) -> Succession:
    """Return one for the stack that the environment names."""
    stack = variables.read(os.environ)
    directory = variables.directory("SUPERVISOR_DIR", os.environ)
    supervisor = Supervisor(str(directory / "supervisor.sock"))
    return Succession(
        supervisor,
        directory,
        partial(Generation, supervisor, stack.run_dir, stack.health_path, directory),
        start_limit=starts.limit(stack.start_timeout, starts.took(stack.run_dir)),
        stop_limit=stack.graceful_timeout + STOP_MARGIN,
        tell=tell,
    )
