"""Processes of supervisord's that know why a worker did not start."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from supervisor import process, states  # type: ignore[import-untyped]
from supervisor.options import decode_wait_status  # type: ignore[import-untyped]

from bascule_ops.procfile import is_process
from bascule_ops.supervision.client import WORKERS
from bascule_ops.supervision.log_writing import LogFile
from bascule_ops.supervision.starts import AGAIN, CANNOT_LOAD, CANNOT_LOAD_YET, WRONG_SETTING

FINAL = (WRONG_SETTING, CANNOT_LOAD)  # another try would end as this one did


class Process(process.Subprocess):  # type: ignore[misc]  # it has no types
    """A process that heeds by a worker's exit status why it has ended.

    One with a wrong setting, or whose application cannot be loaded, is not started again. One whose
    application may load yet, since what it needs may come, is started again for `start_timeout`
    seconds; but not while the file `hold` is there, for then others serve, and who has it tried is
    to hear at once what is wrong. None of them has started, however long it took to say so.
    """

    start_timeout: float
    hold: Path
    laststart: float
    backoff: int
    _tried_since = 0.0

    def spawn(self) -> Any:
        """See `supervisor.process.Subprocess`; a Procfile's process is named in the log."""
        pid = super().spawn()
        if is_process(self.config.name):
            for dispatcher in self.dispatchers.values():
                for handler in getattr(getattr(dispatcher, "normallog", None), "handlers", ()):
                    if isinstance(handler, LogFile):
                        handler.speaker = self.config.name
        return pid

    def finish(self, pid: int, sts: int) -> None:
        """See `supervisor.process.Subprocess`."""
        status, _ = decode_wait_status(sts)
        is_of_ours = self.group.config.name == WORKERS and not self.killing
        if not is_of_ours or status not in (*FINAL, CANNOT_LOAD_YET):
            self._tried_since = 0.0
            super().finish(pid, sts)
            if is_process(self.config.name):  # what its shell has left running ends with it
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGTERM)
            return
        now = time.time()
        self._tried_since = self._tried_since or self.laststart
        patience = 0.0 if self.hold.exists() else self.start_timeout
        left = self._tried_since + patience - now
        is_over = status in FINAL or left <= 0
        # What supervisord takes for a start that failed, and for the last try or one before that.
        self.state, self.laststart = states.ProcessStates.STARTING, now - self.config.startsecs / 2
        last = self.config.startretries
        self.backoff = last if is_over else min(self.backoff, last - 1)
        super().finish(pid, sts)
        if is_over:
            self._tried_since = 0.0
        else:
            self.spawnerr = f"{AGAIN} {left:.0f} s"


def take_over(start_timeout: float, hold: Path) -> None:
    """Have supervisord make its processes of this kind."""
    Process.start_timeout = start_timeout
    Process.hold = hold
    process.Subprocess = Process
