"""Restart the workers one at a time, so that somebody always serves.

The next worker's turn comes when the one before answers again from a new process. The
first that does not come back ends it: the others go on with what they run. A worker that
is down already comes first, so that mending one never costs a healthy one. A lone worker's
socket is taken over by a stand-in for the time it is away. The observer comes last: it shows
the workers, and nobody's request waits for it.
"""

from __future__ import annotations

import argparse
import http.client
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from xmlrpc.client import Fault

from bascule_ops.readiness import probe
from bascule_ops.settings import variables
from bascule_ops.supervision.client import (
    ENDED,
    OBSERVER,
    STAND_IN,
    WORKERS,
    ProcessInfo,
    State,
    Supervisor,
)
from bascule_ops.supervision.operation import Operation, Tell, alone

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


def print_at_once(line: str) -> None:
    """Tell who watches what has been done."""
    print(line, flush=True)


class RollingRestart:
    """Restarts workers through supervisord.

    `start_limit` and `stop_limit` are seconds for one worker; `target` is the path that a
    ready worker answers; `tell` is told whose turn it is, `say` of each worker that is back.
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
        say: Callable[[str], None] = print_at_once,
    ) -> None:
        self._supervisor = supervisor
        self._run_dir = run_dir
        self._target = target
        self._start_limit = start_limit
        self._stop_limit = stop_limit
        self._tell = tell
        self._say = say

    def run(self) -> None:
        """Restart all workers. Raises `NotBackError` at the first that fails."""
        self._restart_workers()
        self._restart_observer()

    def _restart_workers(self) -> None:
        workers = self._workers()
        workers.sort(key=self._answers)
        if len(workers) == 1 and self._answers(workers[0]):
            self._restart_the_only_one(workers[0])
            return
        for position, info in enumerate(workers, 1):
            self._restart(info, position, len(workers))

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

    def _restart_observer(self) -> None:
        """Its failure is told and nothing more: the workers are back."""
        name = f"{OBSERVER}:{OBSERVER}"
        self._tell(Operation(kind="restart", process=OBSERVER, number=1, of=1))
        try:
            self._stop(name)
            self._start(name, OBSERVER)
        except (NotBackError, Fault) as error:
            self._say(f"The workers are back, but there is no status page: {error}")

    def _restart_the_only_one(self, info: ProcessInfo) -> None:
        stand_in = f"{STAND_IN}:{STAND_IN}"
        self._say("One worker only: a stand-in serves while it is away.")
        self._start(stand_in, info["name"])
        try:
            self._restart(info)
        finally:
            self._stop(stand_in)

    def _restart(self, info: ProcessInfo, position: int = 1, of: int = 1) -> None:
        self._tell(Operation(kind="restart", process=info["name"], number=position, of=of))
        began = time.monotonic()
        name = f"{info['group']}:{info['name']}"
        self._stop(name)
        drained = time.monotonic()
        pid = self._start(name, info["name"])
        ready = time.monotonic()
        self._say(
            f"[{position}/{of}] {info['name']} is back: process {info['pid']} -> {pid},"
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


def from_environment(
    start_limit: float, tell: Tell, **options: Callable[[str], None]
) -> RollingRestart:
    """Return one for the stack that the environment names."""
    environ = os.environ
    stack = variables.read(environ)
    return RollingRestart(
        Supervisor(str(variables.directory("SUPERVISOR_DIR", environ) / "supervisor.sock")),
        stack.run_dir,
        stack.health_path,
        start_limit=start_limit,
        stop_limit=stack.graceful_timeout + STOP_MARGIN,
        tell=tell,
        **options,
    )


def main() -> int:
    """Run from ``ops/restart``, which sets the environment."""
    parser = argparse.ArgumentParser(prog="ops/restart")
    parser.add_argument("--timeout", type=float, default=30)
    limit = parser.parse_args().timeout
    try:
        with alone(variables.directory("SUPERVISOR_DIR", os.environ)) as tell:
            from_environment(limit, tell).run()
    except NotBackError as error:
        print(f"ops/restart: {error}. The workers after it were not touched.", file=sys.stderr)
        return 1
    except (OSError, Fault) as error:
        print(f"ops/restart: supervisord does not do it: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
