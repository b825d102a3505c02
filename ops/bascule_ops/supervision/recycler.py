"""Has workers replaced that cannot go on, or are not to, one at a time (`successor`).

* A worker that has reached ``--max-requests`` or ``--max-memory``, or in which calls hang, says so
  (event ``recycle``) and serves on. It says so again after its ``--recycle-wait``, where nobody
  could replace it.
* A worker that is silent for half of ``BASCULE_TIMEOUT`` does not say so. Half, because at the
  whole of it the worker's own watchdog ends it, with all that it has: its successor needs the rest.
* A worker that supervisord has given up, since it could not be started, is tried again.
* SIGHUP to supervisord means all of them.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import queue
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple
from xmlrpc.client import Error, Fault

from bascule_ops.json_log import line
from bascule_ops.settings import variables
from bascule_ops.supervision import slots
from bascule_ops.supervision.client import (
    ENDED,
    SHUTDOWN_STATE,
    WORKERS,
    ProcessInfo,
    State,
    Supervisor,
    workers,
)
from bascule_ops.supervision.operation import alone
from bascule_ops.supervision.silence import Silence, asked
from bascule_ops.supervision.successor import Succession, from_environment, is_held_by_others
from bascule_ops.supervision.trial import HOLD_FILE, NotReadyError

# Seconds until it is tried again to replace a worker that cannot ask for it; those that can wait as
# long (supervisord.conf, --recycle-wait).
AGAIN: Final = 60.0
IDLE: Final = 5.0  # seconds without anything to do, until what is half done is looked for
GIVEN_UP: Final = (State.FATAL, State.UNKNOWN)
_FAILURES: Final = (NotReadyError, OSError, Error, http.client.HTTPException)


class Wish(NamedTuple):
    """A worker is to be replaced.

    Attributes:
        name: of its program.
        pid: of its process, so that it is not replaced twice; 0 where it has none.
        why: to be told; empty where the worker has told it.
        is_silent: only if it is still.
    """

    name: str
    pid: int
    why: str = ""
    is_silent: bool = False

    @property
    def worker(self) -> str:
        """What people call it."""
        return f"worker-{self.name.rpartition('-')[2]}"


def tell(message: str, level: str = "info") -> None:
    """Write a line of the log."""
    sys.stderr.write(line(level, "recycled", message))
    sys.stderr.flush()


class Recycler:
    """Hears what happens, and acts in threads of its own."""

    def __init__(self) -> None:
        stack = variables.read(os.environ)
        self._run_dir = stack.run_dir
        self._directory = variables.directory("SUPERVISOR_DIR", os.environ)
        self._begun: defaultdict[str, str] = defaultdict(str)  # a line whose end is yet to come
        self._wanted: queue.SimpleQueue[Wish] = queue.SimpleQueue()
        self._silence = Silence(stack.timeout / 2)
        self._asked: dict[tuple[str, int], float] = {}  # for whom, and when last
        for act in (self._replace_all_wanted, self._watch):
            threading.Thread(target=act, name=act.__name__, daemon=True).start()

    def heard(self, worker: str, text: str) -> None:
        """A worker wrote `text`, which may begin or end within a line."""
        *lines, self._begun[worker] = (self._begun[worker] + text).split("\n")
        for each in lines:
            if '"recycle"' in each and (pid := _who_asks(each)):
                self._wanted.put(Wish(worker, pid))

    def replace_all(self) -> None:
        """Have each worker replaced; of the site, those of the generation that serves."""
        supervisor = self._supervisor()
        try:
            found = workers(supervisor.processes())
            if not found:
                slot = slots.program(slots.serving(self._run_dir))
                supervisor.signal(f"{slot}:{slot}", "HUP")
        except _FAILURES as error:
            tell(f"SIGHUP changes nothing: {error}", "error")
            return
        for info in found:
            self._wanted.put(Wish(info["name"], info["pid"], "supervisord got SIGHUP"))

    def _supervisor(self) -> Supervisor:
        return Supervisor(f"{self._directory}/supervisor.sock")

    def _watch(self) -> None:
        supervisor = self._supervisor()
        while True:
            began = time.monotonic()
            try:
                for wish in self._found(supervisor):
                    self._wanted.put(wish)
            except _FAILURES:  # supervisord ends, or the next look finds it
                pass
            time.sleep(max(0.0, began + self._silence.pace - time.monotonic()))

    def _found(self, supervisor: Supervisor) -> Iterator[Wish]:
        processes = supervisor.processes()
        found = workers(processes)
        silent = self._silence.look(self._run_dir, found)
        wishes = [
            Wish(info["name"], info["pid"], "it does not say how it is", is_silent=True)
            for info in found
            if info["pid"] in silent
        ]
        # In a generation that is being tried, one that fails is no fault yet.
        if not is_held_by_others(self._directory / HOLD_FILE):
            wishes += [Wish(name, 0, "supervisord has given it up") for name in given_up(processes)]
        yield from filter(self._is_due, wishes)

    def _is_due(self, wish: Wish) -> bool:
        """Whether it is the first one for that process, or some time after the last."""
        now, key = time.monotonic(), (wish.worker, wish.pid)
        is_due = now >= self._asked.get(key, -AGAIN) + AGAIN
        if is_due:
            self._asked[key] = now
        return is_due

    def _replace_all_wanted(self) -> None:
        supervisor = self._supervisor()
        while True:
            try:
                wish = self._wanted.get(timeout=IDLE)
            except queue.Empty:  # so that nobody is at it
                with contextlib.suppress(*_FAILURES):
                    for each in filter(self._is_due, half_replaced(supervisor.processes())):
                        self._wanted.put(each)
                continue
            try:
                with alone(self._directory) as at_work:
                    info = supervisor.process(f"{WORKERS}:{wish.name}")
                    if info["pid"] != wish.pid:
                        continue  # somebody has restarted it since
                    if wish.is_silent:
                        self._replace_silent(wish, info, from_environment(at_work))
                        continue
                    if wish.why:
                        tell(f"{wish.worker} is to be replaced: {wish.why}", "warning")
                    tell(from_environment(at_work).replace(wish.name))
            except _FAILURES as error:
                if isinstance(error, Fault) and error.faultCode == SHUTDOWN_STATE:
                    continue
                goes_on = "goes on, since it" if wish.pid else "is not there, and"
                tell(f"{wish.worker} {goes_on} has no successor: {error}", "error")

    def _replace_silent(self, wish: Wish, info: ProcessInfo, succession: Succession) -> None:
        """Replace a worker that is still silent; one that then cannot even end is killed.

        So that what waits for it may go on to another worker, while nginx still tries that.
        """
        with asked(self._run_dir, [info]) as unanswered:
            if not unanswered(self._silence.pace):
                return
            tell(f"{wish.worker} is to be replaced: {wish.why}", "warning")
            tell(succession.replace(wish.name, is_silent=True))
            if unanswered(self._silence.pace):
                with contextlib.suppress(Fault):  # it has just ended
                    self._supervisor().signal(f"{WORKERS}:{wish.name}", "KILL")


def given_up(processes: Iterable[ProcessInfo]) -> Iterator[str]:
    """Yield one program of each worker that runs no more, since supervisord could not start it."""
    for programs in _programs(processes):
        if all(info["state"] in ENDED for info in programs):
            yield from [info["name"] for info in programs if info["state"] in GIVEN_UP][:1]


def half_replaced(processes: Iterable[ProcessInfo]) -> Iterator[Wish]:
    """Yield a wish for each worker that runs beside its successor."""
    for programs in _programs(processes):
        if not any(info["state"] in (*ENDED, State.STOPPING) for info in programs):
            (before,) = workers(programs)
            yield Wish(before["name"], before["pid"], "that was begun, and cut short")


def _programs(processes: Iterable[ProcessInfo]) -> Iterable[list[ProcessInfo]]:
    """Return the two programs of each worker, where it has two: `processes` has no successors."""
    found: defaultdict[str, list[ProcessInfo]] = defaultdict(list)
    for info in processes:
        if info["group"] == WORKERS:
            found[info["name"].rpartition("-")[2]].append(info)
    return [programs for programs in found.values() if len(programs) > 1]


def _who_asks(text: str) -> int:
    """Return the process that is to be recycled, if the line says so of one, else 0."""
    try:
        said = json.loads(text)
        return int(said["pid"]) if said["event"] == "recycle" else 0
    except (ValueError, TypeError, KeyError):
        return 0
