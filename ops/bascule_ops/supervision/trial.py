"""Try new workers before they take the sockets over, then let them.

A worker that is held back (``--hold``) answers on the name that it has bound beside the path
it is to take. So all of a new generation are asked before the first takes anything over, and
one that is not fit to serve has never been in anybody's way.
"""

from __future__ import annotations

import argparse
import http.client
import os
import sys
import time
from collections.abc import Collection
from pathlib import Path
from xmlrpc.client import Fault

from bascule_ops import atomic
from bascule_ops.readiness import probe
from bascule_ops.settings import variables
from bascule_ops.static import publish, source
from bascule_ops.supervision import failures, starts
from bascule_ops.supervision.client import ENDED, ProcessInfo, State, Supervisor, workers

HOLD_FILE = "hold"
# Beside it: whose workers are, or were, let have the sockets.
TAKEN_FILE = "taken"
# How many workers nginx is to know of, and their deadline for a call (seconds), in RUN_DIR: nginx
# reads both whenever it starts or reloads.
NUMBER_FILE = "workers"
TIMEOUT_FILE = "timeout"
POLL = 0.1  # seconds
WORDS_LIMIT = 2.0  # seconds
TAKE_OVER_LIMIT = 10.0  # seconds; a held worker looks for the file every half


class NotReadyError(Exception):
    """A worker did not answer in time, or cannot be started."""


def is_served(run_dir: Path) -> bool:
    """Whether somebody answers on a worker's socket in there."""
    for path in run_dir.glob("worker-*.sock"):
        try:
            probe(path, "/")
        except http.client.HTTPException:
            return True
        except OSError:
            continue
        return True
    return False


def write_numbers(run_dir: Path, stack: variables.StackSettings) -> None:
    """Say what nginx is to know of the workers, each in one step for whoever reads it."""
    atomic.write(run_dir / TIMEOUT_FILE, f"{stack.timeout:.3f}\n")
    atomic.write(run_dir / NUMBER_FILE, f"{stack.workers}\n")


class Generation:
    """The workers of a supervisord.

    Args:
        supervisor: theirs.
        run_dir: where the sockets are.
        target: the path that a worker has to answer.
        supervisor_dir: where the supervisord has its files.
        names: which processes are meant; else who is each worker at present.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        run_dir: Path,
        target: str,
        supervisor_dir: Path,
        names: Collection[str] = (),
    ) -> None:
        self._supervisor = supervisor
        self._supervisor_dir = supervisor_dir
        self._run_dir = run_dir
        self._target = target
        self._names = names

    def try_all(self, limit: float) -> list[str]:
        """Wait until each answers, held back or not; return a line for each.

        Raises `NotReadyError` after `limit` seconds, or as soon as one cannot be started.
        """
        return self._wait(limit, is_held=True)

    def check_all(self, limit: float = TAKE_OVER_LIMIT) -> list[str]:
        """Wait until each answers on its worker's socket itself; return a line for each."""
        return self._wait(limit, is_held=False)

    def processes(self) -> list[ProcessInfo]:
        """Their processes."""
        found = self._supervisor.processes()
        if self._names:
            return [each for each in found if each["name"] in self._names]
        return workers(found)

    def _wait(self, limit: float, *, is_held: bool) -> list[str]:
        deadline = time.monotonic() + limit
        while True:
            answers = [self._ask(info, is_held=is_held) for info in self.processes()]
            waiting = [reason for is_ready, reason in answers if not is_ready]
            if answers and not waiting:
                return [line for _, line in answers]
            if time.monotonic() > deadline:
                reason = waiting[0] if waiting else "supervisord has no workers"
                raise NotReadyError(f"{reason}, after {limit:g} s")
            time.sleep(POLL)

    def _ask(self, info: ProcessInfo, *, is_held: bool) -> tuple[bool, str]:
        """Whether the process itself answers well, and a line about it."""
        worker = f"worker-{info['name'].rpartition('-')[2]}"
        if info["state"] in ENDED:
            raise NotReadyError(f"{worker} cannot be started: {self._why_ended(info)}")
        path = self._run_dir / f"{worker}.sock"
        own = path.with_name(f".{path.name}.{info['pid']}")
        why = "no answer"
        for each in (own, path) if is_held else (path,):
            try:
                answer = probe(each, self._target, of=info["pid"])
            except FileNotFoundError as error:  # a name of its own: it has taken the path over
                why = why if each is path and is_held else f"no answer: {error}"
                continue
            except (OSError, http.client.HTTPException) as error:
                why = f"no answer: {error}"
                break
            return answer.is_ready, f"{worker}: {answer.status} from process {answer.pid}"
        return False, f"{worker}: {why}"

    def _why_ended(self, info: ProcessInfo) -> str:
        """What a process said last; supervisord's listener writes it down a moment later."""
        deadline = time.monotonic() + WORDS_LIMIT
        while time.monotonic() < deadline:
            known = failures.read(self._supervisor_dir).get(f"{info['group']}:{info['name']}")
            if known and known[-1]["time"] >= info["start"]:
                return known[-1]["words"]
            time.sleep(POLL)
        return f"supervisor says {State(info['state']).name}"


def main() -> int:
    """Run from ``ops/deploy``, in the container that is new."""
    parser = argparse.ArgumentParser(prog="python -m bascule_ops.supervision.trial")
    parser.add_argument("act", choices=["try", "release"])
    parser.add_argument("--timeout", type=float)
    arguments = parser.parse_args()
    environ = os.environ
    stack = variables.read(environ)
    run_dir = stack.run_dir
    supervisor_dir = variables.directory("SUPERVISOR_DIR", environ)
    supervisor = Supervisor(str(supervisor_dir / "supervisor.sock"))
    generation = Generation(supervisor, run_dir, stack.health_path, supervisor_dir)
    limit = arguments.timeout or starts.limit(stack.start_timeout, starts.took(run_dir))
    deadline = time.monotonic() + limit
    try:
        if arguments.act == "release":
            (supervisor_dir / HOLD_FILE).unlink(missing_ok=True)
            site = variables.directory("NGINX_STATIC_DIR", environ)
            publish.put(source.files(environ, supervisor_dir), site)
            lines = generation.check_all()
            write_numbers(run_dir, stack)
        else:
            _wait_for_supervisor(supervisor, deadline)
            lines = generation.try_all(deadline - time.monotonic())
    except (NotReadyError, OSError, Fault) as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


def _wait_for_supervisor(supervisor: Supervisor, deadline: float) -> None:
    while True:
        try:
            supervisor.processes()
        except OSError as error:
            if time.monotonic() > deadline:
                raise NotReadyError(f"supervisord does not answer: {error}") from error
            time.sleep(POLL)
        else:
            return


if __name__ == "__main__":
    sys.exit(main())
