"""Supervisor's event listener: what happens to processes, as lines of the log.

supervisord starts this as an ``[eventlistener]`` and speaks its protocol on standard input
and output (http://supervisord.org/events.html). A process that ends unexpectedly or cannot
be started is reported on standard error, with the last words that it wrote there, and
remembered (`failures`). When no worker is left, or another program that serves cannot be
started, nothing can be served: the reason goes to `REASON_FILE` in ``SUPERVISOR_DIR`` and
supervisord is told to shut down; so is that of local mode's site once the generation that serves
has ended with a reason (`slots`). A worker that fails while others serve is an alarm, not an end. A
worker that cannot go on, or is not to, is replaced (`bascule_ops.supervision.recycler`).

Every few seconds it also ends the blocks of `ops/block` whose time is over.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from xmlrpc.client import Fault

from bascule_ops import atomic
from bascule_ops.blocking.blocks import Blocks
from bascule_ops.blocking.markers import written
from bascule_ops.json_log import line
from bascule_ops.procfile import is_process
from bascule_ops.supervision import failures, slots, starts
from bascule_ops.supervision.client import (
    BESIDE,
    ENDED,
    SHUTDOWN_STATE,
    WORKERS,
    ProcessInfo,
    Supervisor,
)
from bascule_ops.supervision.recycler import Recycler, tell

REASON_FILE = "fatal.json"
REPLACE_ALL = "replace-all"  # what `supervised` says where it got SIGHUP
LAST_WORDS = 5  # lines kept of each process: the end of a traceback, or one message
LEVELS = {
    "PROCESS_STATE_FATAL": "critical",
    "PROCESS_STATE_BACKOFF": "error",
    "PROCESS_STATE_UNKNOWN": "error",
}
TOLD = frozenset({"STARTING", "BACKOFF", "STOPPED", "EXITED", "FATAL", "UNKNOWN"})


def tokens(text: str) -> dict[str, str]:
    """``a:1 b:2`` as a mapping: the form of headers and of state payloads."""
    return dict(token.split(":", 1) for token in text.split())


def serves_no_more(failed: str, processes: Iterable[ProcessInfo]) -> bool:
    """Whether the failure of `failed` (``group:name``) leaves nothing that could serve."""
    group, _, name = failed.partition(":")
    if name in BESIDE or is_process(name):
        return False
    if group != WORKERS:
        return True
    return all(info["state"] in ENDED for info in processes if info["group"] == WORKERS)


def why_it_ends(told: str, payload: dict[str, str], supervisor: Supervisor) -> str:
    """The log line that says why nothing can be served any more; empty where something can."""
    process, state = f"{payload['groupname']}:{payload['processname']}", payload["state"]
    if state == "FATAL":
        return told if serves_no_more(process, supervisor.processes()) else ""
    run_dir = Path(os.environ["RUN_DIR"])
    if state == "EXITED" and payload["groupname"] in map(slots.program, slots.SLOTS):
        slot = slots.serving(run_dir)
        if payload["groupname"] == slots.program(slot):
            try:
                return (run_dir / slot / REASON_FILE).read_text(encoding="utf-8")
            except FileNotFoundError:  # it was killed, and its workers serve
                threading.Thread(target=replace_generation, daemon=True).start()
    return ""


def replace_generation() -> None:
    """Have others take the places of workers whose supervisord was killed."""
    tell("supervisord of the workers has ended: others take their places", "warning")
    project = ("--project", os.environ["PROJECT_DIR"])
    command = (sys.executable, "-P", "-m", "bascule_ops", *project, "restart")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        tell(f"the workers were not replaced: {done.stderr.strip()}", "error")


def has_failed(eventname: str, payload: dict[str, str]) -> bool:
    """Whether a process ended that nobody had asked to. FATAL only follows such an end."""
    return eventname == "PROCESS_STATE_BACKOFF" or (
        eventname == "PROCESS_STATE_EXITED" and payload.get("expected") == "0"
    )


def spoken(line: str) -> str:
    """What a line of a log says: its message where it is a JSON object.

    Of a process whose last line tells of nothing wrong, that is said: it was killed, most likely.
    """
    try:
        found = json.loads(line)
    except ValueError:
        return line
    if not isinstance(found, dict):
        return line
    words = str(found.get("message", ""))
    if found.get("level") == "info":
        last = f"; its last line: {words}" if words else ""
        return f"it ended without an error, as if it was killed{last}"
    return words or line


class Reporter:
    """Turns events into log lines and remembers last words."""

    def __init__(self) -> None:
        self._last_words: defaultdict[str, deque[str]] = defaultdict(
            lambda: deque(maxlen=LAST_WORDS)
        )

    def heard(self, process: str, text: str) -> None:
        """A process wrote `text` to its standard error."""
        self._last_words[process].extend(filter(None, map(str.strip, text.splitlines())))

    def last_words(self, process: str) -> str:
        """The last thing that a process said since its start."""
        words = self._last_words[process]
        return spoken(words[-1]) if words else ""

    def report(self, eventname: str, payload: dict[str, str], again: str = "") -> str | None:
        """The log line for a process's new state, where it is worth one.

        `again`: that its application, which does not load yet, is tried again, and for how long.
        """
        state = eventname.removeprefix("PROCESS_STATE_")
        if state not in TOLD:
            return None
        process = f"{payload['groupname']}:{payload['processname']}"
        unexpected = payload.get("expected") == "0"
        level = "error" if unexpected else LEVELS.get(eventname, "info")
        message = f"{process} is {state} (was {payload['from_state']})"
        more: dict[str, object] = {"process": process}
        if pid := int(payload.get("pid", 0)):
            more["pid"] = pid
        if again:
            level = "warning"
            why = self.last_words(process).removeprefix("bascule: ")
            message = f"{process}: the application does not load yet: {why}; {again}"
        elif level != "info":
            more["last_words"] = list(self._last_words[process])
        if state == "FATAL":
            message = f"{process} could not be started"
            if words := self._last_words[process]:
                message += f": {words[-1]}"
        if state == "STARTING":
            self._last_words[process].clear()
        return line(level, "process_state", message, **more)


def ended_blocks(blocks: Blocks) -> Iterator[str]:
    """End the blocks whose time is over; give a log line for each, or for what prevents it."""
    try:
        for block in blocks.expire(datetime.now(UTC)):
            who = written(block.network)
            yield line("info", "unblocked", f"{who} is no longer blocked", network=who)
    except (OSError, ValueError, KeyError) as error:
        yield line("error", "unblocked", f"cannot end blocks: {error}")


def trying_again(eventname: str, payload: dict[str, str], supervisor: Supervisor) -> str:
    """For how long a worker's application is tried again (`tries`); empty where it is not."""
    if eventname != "PROCESS_STATE_BACKOFF" or payload["groupname"] != WORKERS:
        return ""
    with ending_already():
        word = supervisor.process(f"{WORKERS}:{payload['processname']}")["spawnerr"]
        return word if word.startswith(starts.AGAIN) else ""
    return ""


@contextlib.contextmanager
def ending_already() -> Iterator[None]:
    """Pass over what supervisord says once it is ending, for the failure before this one."""
    try:
        yield
    except Fault as fault:
        if fault.faultCode != SHUTDOWN_STATE:
            raise
    except (ConnectionError, FileNotFoundError):
        pass


def listen(source: BinaryIO, sink: BinaryIO) -> None:
    """Speak the listener's protocol until supervisord closes it."""
    reporter = Reporter()
    recycler = Recycler()
    directory = os.environ["SUPERVISOR_DIR"]
    supervisor = Supervisor(f"{directory}/supervisor.sock")
    blocks = Blocks(Path(os.environ["RUN_DIR"]))
    while True:
        sink.write(b"READY\n")
        sink.flush()
        header_line = source.readline()
        if not header_line:
            return
        header = tokens(header_line.decode())
        body = source.read(int(header["len"])).decode(errors="replace")
        first, _, rest = body.partition("\n")
        payload = tokens(first)
        eventname = header["eventname"]
        if eventname == "PROCESS_LOG_STDERR":
            reporter.heard(f"{payload['groupname']}:{payload['processname']}", rest)
            if payload["groupname"] == WORKERS:
                recycler.heard(payload["processname"], rest)
        elif eventname == "TICK_5":
            sys.stderr.writelines(ended_blocks(blocks))
            sys.stderr.flush()
        elif eventname == "REMOTE_COMMUNICATION":
            if payload.get("type") == REPLACE_ALL:
                recycler.replace_all()
        elif told := reporter.report(
            eventname, payload, trying_again(eventname, payload, supervisor)
        ):
            sys.stderr.write(told)
            sys.stderr.flush()
            process = f"{payload['groupname']}:{payload['processname']}"
            if has_failed(eventname, payload):
                failure = failures.Failure(time=time.time(), words=reporter.last_words(process))
                with contextlib.suppress(OSError):  # a full disk; the log has it
                    failures.add(Path(directory), process, failure)
            with ending_already():
                state = eventname.removeprefix("PROCESS_STATE_")
                if reason := why_it_ends(told, {**payload, "state": state}, supervisor):
                    with contextlib.suppress(OSError):  # a full disk; the log has the reason
                        atomic.write(Path(directory, REASON_FILE), reason)
                    supervisor.shutdown()
        sink.write(b"RESULT 2\nOK")
        sink.flush()


if __name__ == "__main__":
    listen(sys.stdin.buffer, sys.stdout.buffer)
