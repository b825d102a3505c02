"""Replace one worker within its generation: its successor starts beside it, and takes over.

supervisord.conf has two programs for each worker, ``worker-N`` and ``successor-N``, which are the
same. One of them runs; the other is started beside it, held back, and tried. When it answers it
takes the socket over, and then the one before it drains. So a worker serves until another one does,
be it the only one; where no successor can be started, it goes on.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from bascule_ops.settings import variables
from bascule_ops.supervision import starts
from bascule_ops.supervision.client import ENDED, SUCCESSOR, WORKER, WORKERS, Supervisor
from bascule_ops.supervision.operation import Operation, Tell
from bascule_ops.supervision.trial import HOLD_FILE, POLL, Generation, NotReadyError

HELD = "until a successor answers\n"  # in the file by which workers are held back
STOP_MARGIN = 10  # seconds that supervisord may need on top of its stopwaitsecs


class Succession:
    """Replaces the workers of a supervisord, one at a time.

    Args:
        supervisor: theirs.
        supervisor_dir: where it has its files.
        run_dir: where the workers' sockets are.
        target: the path that a worker has to answer.
        start_timeout: seconds for a successor to answer, or more where loading took longer.
        stop_limit: seconds for one worker to end.
        tell: is told whose turn it is.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        supervisor_dir: Path,
        run_dir: Path,
        target: str,
        *,
        start_timeout: float,
        stop_limit: float,
        tell: Tell,
    ) -> None:
        self._supervisor = supervisor
        self._hold = supervisor_dir / HOLD_FILE
        self._run_dir = run_dir
        self._target = target
        self._start_timeout = start_timeout
        self._stop_limit = stop_limit
        self._tell = tell

    def replace(self, name: str) -> str:
        """Replace the worker that runs as `name`; return what has become of it.

        Raises `NotReadyError` where no successor serves; then it goes on.
        """
        number = name.rpartition("-")[2]
        worker = f"worker-{number}"
        successor = (SUCCESSOR if name.startswith(WORKER) else WORKER) + number
        self._tell(Operation(kind="restart", process=worker, number=1, of=1))
        began = time.monotonic()
        before = self._supervisor.process(f"{WORKERS}:{name}")["pid"]
        generation = Generation(self._supervisor, self._run_dir, self._target, (successor,))
        self._begin(successor, generation)
        generation.check_all()
        ready = time.monotonic()
        self._end(name)
        after = self._supervisor.process(f"{WORKERS}:{successor}")["pid"]
        return (
            f"{worker} is back: process {before} -> {after}, ready in {ready - began:.1f} s,"
            f" drained in {time.monotonic() - ready:.1f} s"
        )

    def _begin(self, successor: str, generation: Generation) -> None:
        """Start a successor, and let it have the socket when it answers."""
        if self._hold.exists() and not self._is_held_by_this():
            raise NotReadyError("another generation takes over")
        if not self._has_ended(successor):
            self._hold.unlink(missing_ok=True)
            return  # of an attempt that was cut short
        self._hold.write_text(HELD)
        try:
            self._supervisor.start(f"{WORKERS}:{successor}")
            generation.try_all(starts.limit(self._start_timeout, starts.took(self._run_dir)))
        except BaseException:
            self._end(successor)
            raise
        finally:
            if self._is_held_by_this():
                self._hold.unlink()

    def _is_held_by_this(self) -> bool:
        """Whether no other generation takes over, which has the workers here held for good."""
        try:
            return self._hold.read_text() == HELD
        except FileNotFoundError:
            return False

    def _has_ended(self, name: str) -> bool:
        return self._supervisor.process(f"{WORKERS}:{name}")["state"] in ENDED

    def _end(self, name: str) -> None:
        if self._has_ended(name):
            return
        self._supervisor.stop(f"{WORKERS}:{name}")
        deadline = time.monotonic() + self._stop_limit
        while not self._has_ended(name):
            if time.monotonic() > deadline:
                raise NotReadyError(f"{name} did not stop within {self._stop_limit:g} s")
            time.sleep(POLL)


def from_environment(tell: Tell) -> Succession:
    """Return one for the stack that the environment names."""
    stack = variables.read(os.environ)
    directory = variables.directory("SUPERVISOR_DIR", os.environ)
    return Succession(
        Supervisor(str(directory / "supervisor.sock")),
        directory,
        stack.run_dir,
        stack.health_path,
        start_timeout=stack.start_timeout,
        stop_limit=stack.graceful_timeout + STOP_MARGIN,
        tell=tell,
    )
