"""Restart one worker that has to be recycled, so that somebody always serves.

It is stopped while another one answers. A lone worker's socket is taken over by a stand-in for the
time it is away.
"""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Callable
from pathlib import Path

from bascule_ops.readiness import probe
from bascule_ops.settings import variables
from bascule_ops.supervision.client import (
    ENDED,
    STAND_IN,
    WORKERS,
    ProcessInfo,
    State,
    Supervisor,
)
from bascule_ops.supervision.operation import Operation, Tell

POLL = 0.05  # seconds
STOP_MARGIN = 10  # seconds that supervisord may need on top of its stopwaitsecs


class NotBackError(Exception):
    """A process did not stop, or did not answer again, in time."""


def wait_for(fact: Callable[[], bool], limit: float, failure: str) -> None:
    """Return when `fact` holds; raise `NotBackError` after `limit` seconds."""
    deadline = time.monotonic() + limit
    while not fact():
        if time.monotonic() > deadline:
            raise NotBackError(f"{failure} within {limit:g} s")
        time.sleep(POLL)


class OneWorker:
    """Restarts workers through supervisord, each when it is asked to.

    `start_limit` and `stop_limit` are seconds for one worker; `target` is the path that a
    ready worker answers; `tell` is told whose turn it is, `say` of a worker that is back.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        run_dir: Path,
        target: str,
        *,
        start_limit: float,
        stop_limit: float,
        tell: Tell,
        say: Callable[[str], None],
    ) -> None:
        self._supervisor = supervisor
        self._run_dir = run_dir
        self._target = target
        self._start_limit = start_limit
        self._stop_limit = stop_limit
        self._tell = tell
        self._say = say

    def replace(self, name: str) -> None:
        """Restart one worker, when another one answers. Raises `NotBackError`."""
        workers = self._workers()
        (info,) = (each for each in workers if each["name"] == name)
        others = [each for each in workers if each["name"] != name]
        if not others:
            self._restart_the_only_one(info)
            return
        wait_for(
            lambda: any(map(self._answers, others)),
            self._start_limit,
            f"{name} was not replaced: no other worker answered",
        )
        self._restart(info)

    def _workers(self) -> list[ProcessInfo]:
        return [info for info in self._supervisor.processes() if info["group"] == WORKERS]

    def _restart_the_only_one(self, info: ProcessInfo) -> None:
        stand_in = f"{STAND_IN}:{STAND_IN}"
        self._say("One worker only: a stand-in serves while it is away.")
        self._start(stand_in, info["name"])
        try:
            self._restart(info)
        finally:
            self._stop(stand_in)

    def _restart(self, info: ProcessInfo) -> None:
        self._tell(Operation(kind="restart", process=info["name"], number=1, of=1))
        began = time.monotonic()
        name = f"{info['group']}:{info['name']}"
        self._stop(name)
        drained = time.monotonic()
        pid = self._start(name, info["name"])
        ready = time.monotonic()
        self._say(
            f"{info['name']} is back: process {info['pid']} -> {pid},"
            f" drained in {drained - began:.1f} s, ready in {ready - drained:.1f} s"
        )

    def _stop(self, name: str) -> None:
        if self._supervisor.process(name)["state"] in ENDED:
            return
        self._supervisor.stop(name)
        wait_for(
            lambda: self._supervisor.process(name)["state"] in ENDED,
            self._stop_limit,
            f"{name} did not stop",
        )

    def _start(self, name: str, worker: str) -> int:
        """Start a process; return its id when it answers on `worker`'s socket."""
        self._supervisor.start(name)

        def is_back() -> bool:
            info = self._supervisor.process(name)
            if info["state"] in ENDED:
                state = State(info["state"]).name
                raise NotBackError(f"{name} did not come back: supervisor says {state}")
            return self._answers(info, worker)

        wait_for(is_back, self._start_limit, f"{name} did not come back: no answer")
        return self._supervisor.process(name)["pid"]

    def _answers(self, info: ProcessInfo, worker: str = "") -> bool:
        """Whether the process itself, not a predecessor, answers on the worker's socket."""
        try:
            answer = probe(self._run_dir / f"{worker or info['name']}.sock", self._target)
        except (OSError, http.client.HTTPException):
            return False
        return answer.is_from(info["pid"]) and answer.is_ready


def from_environment(start_limit: float, tell: Tell, say: Callable[[str], None]) -> OneWorker:
    """Return one for the stack that the environment names."""
    environ = os.environ
    stack = variables.read(environ)
    return OneWorker(
        Supervisor(str(variables.directory("SUPERVISOR_DIR", environ) / "supervisor.sock")),
        stack.run_dir,
        stack.health_path,
        start_limit=start_limit,
        stop_limit=stack.graceful_timeout + STOP_MARGIN,
        tell=tell,
        say=say,
    )
