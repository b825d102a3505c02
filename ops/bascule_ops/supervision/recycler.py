"""Replaces workers that have reached ``--max-requests`` or ``--max-memory``, one at a time.

Such a worker says so (event ``recycle``) and serves on for its ``--recycle-wait``. Ended by
themselves, workers that share the load evenly would end together, and a lone one would leave
a gap; here each is restarted while somebody else serves.
"""

from __future__ import annotations

import http.client
import json
import os
import queue
import sys
import threading
from collections import defaultdict
from pathlib import Path
from xmlrpc.client import Fault

from bascule_ops.json_log import line
from bascule_ops.supervision.client import WORKERS, Supervisor
from bascule_ops.supervision.one_worker import NotBackError, from_environment
from bascule_ops.supervision.operation import alone

START_LIMIT = 30.0  # seconds for a worker to answer again


def tell(message: str, level: str = "info") -> None:
    """Write a line of the log."""
    sys.stderr.write(line(level, "recycled", message))
    sys.stderr.flush()


class Recycler:
    """Hears what workers write to standard error, and acts in a thread of its own."""

    def __init__(self) -> None:
        self._begun: defaultdict[str, str] = defaultdict(str)  # a line whose end is yet to come
        self._wanted: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        self._supervisor = Supervisor(f"{os.environ['SUPERVISOR_DIR']}/supervisor.sock")
        threading.Thread(target=self._run, name="recycler", daemon=True).start()

    def heard(self, worker: str, text: str) -> None:
        """A worker wrote `text`, which may begin or end within a line."""
        *lines, self._begun[worker] = (self._begun[worker] + text).split("\n")
        for each in lines:
            if '"recycle"' in each and (pid := _who_asks(each)):
                self._wanted.put((worker, pid))

    def _run(self) -> None:
        while True:
            worker, pid = self._wanted.get()
            try:
                with alone(Path(os.environ["SUPERVISOR_DIR"])) as at_work:
                    info = self._supervisor.process(f"{WORKERS}:{worker}")
                    if info["pid"] == pid:  # else somebody has restarted it since
                        from_environment(START_LIMIT, at_work, tell).replace(worker)
            except (NotBackError, OSError, Fault, http.client.HTTPException) as error:
                tell(f"{worker} was not replaced, and will end by itself: {error}", "error")


def _who_asks(text: str) -> int:
    """Return the process that is to be recycled, if the line says so of one, else 0."""
    try:
        said = json.loads(text)
        return int(said["pid"]) if said["event"] == "recycle" else 0
    except (ValueError, TypeError, KeyError):
        return 0
