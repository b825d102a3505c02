"""What is done to the stack under load, one thing after another, and what may fail of it."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.harness.fetch import NO_RESPONSE, fetch
from tests.harness.processes import Process
from tests.harness.waiting import NotInTimeError, wait_until
from tests.load.account import Failure
from tests.soak.application import HANG_PATH
from tests.soak.stack import Stack, StackError

MEBIBYTE: Final = 1024 * 1024
# What a worker may spool while the disk is full, and what is then sent.
FULL_AT: Final = MEBIBYTE
UPLOAD: Final = 3 * MEBIBYTE
ATTACK_SECONDS: Final = 3.0
BACK_SECONDS: Final = 30.0
PATIENCE: Final = 30.0
# A request may have been in the killed worker's hands for so long after its death (seconds).
ECHO: Final = 1.0
# And nginx may send it one for so long after the signal (seconds): until the process has ended, on
# a machine that has other things to do, and nginx has seen that.
NOTICED: Final = 0.1
ATTACKS: Final = ("slow-head", "many-fields", "pipeline", "colliding-names")


class UnexpectedError(Exception):
    """A fault did not go as it must; the message says what happened instead."""


@dataclass
class Faults:
    """Does the faults, and remembers when.

    Attributes:
        done: how often each was done.
        wrong: what did not go as it must.
    """

    stack: Stack
    done: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    _kills: list[float] = field(default_factory=list)
    _full: list[tuple[float, float]] = field(default_factory=list)
    _attacks: int = 0
    _waiters: list[threading.Thread] = field(default_factory=list)
    _is_over: bool = False

    def do(self, name: str) -> None:
        """Do one."""
        self.done[name] = self.done.get(name, 0) + 1
        try:
            FAULTS[name](self)
        except (NotInTimeError, UnexpectedError, *NO_RESPONSE) as error:
            self.note(f"{name}: {error!r}")

    def note(self, what: str) -> None:
        """Note that something did not go as it must."""
        if not self._is_over:
            self.wrong.append(what)

    def leave(self) -> None:
        """Wait for nothing that is still under way: the stack is stopped meanwhile."""
        self._is_over = True

    def excuse(self, failure: Failure) -> str:
        """Return why a request was allowed to fail; empty: it was not.

        A killed worker takes along the POSTs that it had or was just being sent, which must not be
        sent twice, and the answers that it had begun.
        """
        for moment in self._kills:
            was_there = failure.began - NOTICED <= moment <= failure.ended + ECHO
            lost = failure.kind.method == "POST" or "within the answer" in failure.reason
            if was_there and lost:
                return "in flight on a killed worker"
        for began, ended in self._full:
            is_upload = failure.kind.sent >= FULL_AT
            if is_upload and failure.reason == "status 503" and began <= failure.ended <= ended:
                return "no room to spool it"
        return ""

    def kill(self) -> None:
        """Kill a worker, and wait until another process has taken its place."""
        name, pid = min(self.stack.workers().items())
        self._kills.append(time.monotonic())
        os.kill(pid, signal.SIGKILL)
        wait_until(
            lambda: self.stack.workers().get(name, pid) != pid,
            f"{name} to come back",
            limit=BACK_SECONDS,
            interval=0.1,  # a look reads all processes
        )

    def hang(self) -> None:
        """Have one call hang, beside all the others: its client gets 504."""
        self._beside(self._wait_for_hung)

    def reload_nginx(self) -> None:
        """Have nginx read its configuration again, which waits for clients, beside the rest."""
        self._beside(self._reload_nginx)

    def _beside(self, what: Callable[[], None]) -> None:
        waiter = threading.Thread(target=what)
        self._waiters.append(waiter)
        waiter.start()

    def _reload_nginx(self) -> None:
        try:
            self.stack.reload_nginx()
        except StackError as error:
            self.note(str(error))

    def _wait_for_hung(self) -> None:
        began = time.monotonic()
        status: int | str
        try:
            status = self._request("GET", HANG_PATH)
        except NO_RESPONSE as error:
            status = repr(error)
        # nginx asks another worker where the one that had it was killed, and says 502 or 504
        # where all were.
        was_killed = any(began <= moment for moment in self._kills)
        if status != 504 and not was_killed:
            self.note(f"a hung request was answered {status}")

    def finish(self) -> None:
        """Wait for what is still under way."""
        for each in self._waiters:
            each.join()

    def fill_spool(self) -> None:
        """Have no room on the disk for an upload: its client gets 503, and then there is room."""
        began = time.monotonic()
        workers = self.stack.workers()
        try:
            with _limited(workers, FULL_AT):
                status = self._request("POST", "/upload", b"x" * UPLOAD)
        finally:
            self._full.append((began, time.monotonic() + ECHO))
        if status != 503:
            raise UnexpectedError(f"an upload without room was answered {status}")

    def attack(self) -> None:
        """Attack nginx for a few seconds."""
        name = ATTACKS[self._attacks % len(ATTACKS)]
        self._attacks += 1
        command = [sys.executable, "-m", "tests.attack.attacker", name]
        command.append(f"127.0.0.1:{self.stack.port}")
        with Process(command, stdin=subprocess.PIPE) as attacker:
            time.sleep(ATTACK_SECONDS)
            attacker.end_input()
            attacker.wait(PATIENCE)

    def _request(self, method: str, target: str, body: bytes | None = None) -> int:
        return fetch(self.stack.port, target, method, body, limit=PATIENCE).status


@contextlib.contextmanager
def _limited(workers: Mapping[str, int], size: int) -> Iterator[None]:
    """Let processes write files of so many bytes only, as if the disk were full then."""
    before = {}
    for pid in workers.values():
        with contextlib.suppress(ProcessLookupError):
            before[pid] = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, before[pid][1]))
    try:
        yield
    finally:
        for pid, limits in before.items():
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


FAULTS: Final[Mapping[str, Callable[[Faults], object]]] = {
    "hung request": Faults.hang,
    "nginx reload": Faults.reload_nginx,
    "full spool": Faults.fill_spool,
    "kill -9": Faults.kill,
    "log emptied": lambda faults: faults.stack.empty_log(),
    "attack": Faults.attack,
}
RESTART: Final = "restart"
