"""Has workers replaced that ask for it, one at a time (`successor`).

A worker that has reached ``--max-requests`` or ``--max-memory``, or in which calls hang, says so
(event ``recycle``) and serves on. It says so again after its ``--recycle-wait``, where nobody could
replace it.
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
from bascule_ops.supervision.operation import alone
from bascule_ops.supervision.successor import from_environment
from bascule_ops.supervision.trial import NotReadyError


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
                        tell(from_environment(at_work).replace(worker))
            except (NotReadyError, OSError, Fault, http.client.HTTPException) as error:
                tell(f"{worker} goes on, since it has no successor: {error}", "error")


def _who_asks(text: str) -> int:
    """Return the process that is to be recycled, if the line says so of one, else 0."""
    try:
        said = json.loads(text)
        return int(said["pid"]) if said["event"] == "recycle" else 0
    except (ValueError, TypeError, KeyError):
        return 0
