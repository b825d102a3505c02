"""The faults, and the commands that are asked while each of them lasts: tables."""

from __future__ import annotations

import itertools
import os
import resource
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.faults.stack import BrokenStack
from tests.harness.tree import LIMIT
from tests.harness.waiting import wait_until
from tests.nginx.certificates import make_pair

Injection = Callable[[BrokenStack], AbstractContextManager[None]]

# What is asked, in this order. METRICS and SNAPSHOT are pages of the observer.
COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "status": ("ops/status",),
    "status --json": ("ops/status", "--json"),
    "running": ("ops/running",),
    "top": ("ops/top", "--once"),
    "health": ("ops/health",),
    "certificate": ("ops/certificate",),
    "requests": ("ops/requests", "--since", "10m"),
    "slow": ("ops/slow",),
    "logs": ("ops/logs", "--lines", "5"),
    "report": ("ops/report", "report.html"),
    "block": ("ops/block", "203.0.113.9"),
    "block --list": ("ops/block", "--list"),
    "unblock": ("ops/unblock", "203.0.113.9"),
    "logs --rotate": ("ops/logs", "--rotate", "--keep", "2"),
    # The last: it starts a stack that is dead.
    "up": ("ops/up", "--local"),
}
PAGES: Final[Mapping[str, str]] = {
    "/-/metrics": "/-/metrics",
    "/-/status.json": "/-/status.json",
}
OBSERVED: Final = frozenset(PAGES)


@dataclass(frozen=True)
class Fault:
    """Something that is broken.

    Attributes:
        name: of it.
        inject: breaks it, and mends it at the end.
        statuses: exit statuses (of pages HTTP's) that differ from those of a stack that is well;
            None where chance decides, such as which worker nginx asks.
        says: what the status says of it, as a regular expression; empty: that all is well.
        needs_disk: whether it can be done to a disk of the stack's own only.
        settings: of the environment of the commands.
        prefix: what each command is run by.
        shows: what else commands say, as regular expressions.
    """

    name: str
    inject: Injection
    statuses: Mapping[str, int | None] = field(default_factory=dict)
    says: str = ""
    needs_disk: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()
    shows: Mapping[str, str] = field(default_factory=dict)


def signalled(name: str, number: signal.Signals, most: int = 99) -> Injection:
    """Send a signal to the processes that are called so; SIGCONT mends it."""

    @contextmanager
    def inject(stack: BrokenStack) -> Iterator[None]:
        pids = stack.pids_of(name)[:most]
        assert pids
        for pid in pids:
            os.kill(pid, number)
        try:
            yield
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    return inject


@contextmanager
def killed_worker_that_loads(stack: BrokenStack) -> Iterator[None]:
    """Kill a worker; its successor's application takes long to load."""
    (stack.root / "slow").touch()
    (old,) = stack.pids_of("worker-1")
    os.kill(old, signal.SIGKILL)
    wait_until(
        lambda: stack.pids_of("worker-1") not in ([], [old]), "another worker-1", limit=LIMIT
    )
    try:
        yield
    finally:
        (stack.root / "slow").unlink()


@contextmanager
def draining(stack: BrokenStack) -> Iterator[None]:
    """Ask both workers to end by hand, each with a request in flight that keeps it."""
    clients = [threading.Thread(target=stack.ask, args=("/wait",)) for _ in range(4)]
    for each in clients:
        each.start()
    wait_until(
        lambda: stack.run("ops/running").stdout.startswith("4 in flight"),
        "four requests",
        limit=LIMIT,
    )
    for pid in stack.pids_of("worker"):
        os.kill(pid, signal.SIGTERM)
    try:
        yield
    finally:
        (stack.root / "over").touch()
        for each in clients:
            each.join()
        (stack.root / "over").unlink()


def killed_for_good(name: str) -> Injection:
    """Kill processes, of which the stack does not come back: it is started anew."""

    @contextmanager
    def inject(stack: BrokenStack) -> Iterator[None]:
        for pid in stack.pids_of(name):
            os.kill(pid, signal.SIGKILL)
        try:
            yield
        finally:
            stack.run("ops/down")
            done = stack.up()
            assert done.returncode == 0, done.stdout + done.stderr

    return inject


def full(place: Callable[[BrokenStack], Path]) -> Injection:
    """Leave no byte on a disk."""

    @contextmanager
    def inject(stack: BrokenStack) -> Iterator[None]:
        ballast = stack.fill(place(stack))
        for _ in range(20):
            stack.ask("/alice")  # whose lines are lost
        try:
            yield
        finally:
            ballast.unlink()

    return inject


@contextmanager
def no_more_files(stack: BrokenStack) -> Iterator[None]:
    """Use up the inodes of the run directory's disk."""
    place = stack.disk / "many"
    place.mkdir()
    number = 0
    try:
        while True:
            (place / str(number)).touch()
            number += 1
    except OSError:
        pass
    try:
        yield
    finally:
        for path in place.iterdir():
            path.unlink()
        place.rmdir()


@contextmanager
def read_only(stack: BrokenStack) -> Iterator[None]:
    """Mount the run directory's disk read-only, lazily where a file is open for writing."""
    os.kill(stack.pids_of("supervisord")[0], 0)
    stack.remount("ro")
    try:
        yield
    finally:
        stack.remount("rw")


def out_of_descriptors(name: str) -> Injection:
    """Let a process open nothing more."""

    @contextmanager
    def inject(stack: BrokenStack) -> Iterator[None]:
        pids = stack.pids_of(name)
        before = {pid: resource.prlimit(pid, resource.RLIMIT_NOFILE)[0] for pid in pids}
        for pid in pids:
            taken = {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}
            # The limit is of their numbers, and the lowest that is free comes next.
            lowest = next(number for number in itertools.count() if number not in taken)
            stack.limit(pid, resource.RLIMIT_NOFILE, lowest)
        try:
            yield
        finally:
            for pid, most in before.items():
                with suppress(ProcessLookupError):
                    stack.limit(pid, resource.RLIMIT_NOFILE, most)

    return inject


def out_of_memory(name: str) -> Injection:
    """Let a process have no more address space than it has."""

    @contextmanager
    def inject(stack: BrokenStack) -> Iterator[None]:
        pids = stack.pids_of(name)
        for pid in pids:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
            stack.limit(pid, resource.RLIMIT_AS, pages * os.sysconf("SC_PAGE_SIZE"))
        try:
            yield
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    stack.limit(pid, resource.RLIMIT_AS, resource.RLIM_INFINITY)

    return inject


@contextmanager
def another_certificate(stack: BrokenStack) -> Iterator[None]:
    """Renew the certificate, and do not tell nginx."""
    make_pair(stack.root / "tls", name="second.example")
    try:
        yield
    finally:
        stack.run("ops/certificate", "reload")


@contextmanager
def nothing(stack: BrokenStack) -> Iterator[None]:
    """Break nothing."""
    yield


@contextmanager
def no_run_directory(stack: BrokenStack) -> Iterator[None]:
    """Move the run directory away under the running stack."""
    aside = stack.run_dir.with_name("aside")
    stack.run_dir.rename(aside)
    try:
        yield
    finally:
        shutil.rmtree(stack.run_dir, ignore_errors=True)
        aside.rename(stack.run_dir)


@contextmanager
def no_room_to_start(stack: BrokenStack) -> Iterator[None]:
    """Have nothing run, and no byte left on the disk of the run directory."""
    stack.run("ops/down")
    ballast = stack.fill(stack.disk)
    try:
        yield
    finally:
        ballast.unlink()
        done = stack.up()
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def engine_that_hangs(stack: BrokenStack) -> Iterator[None]:
    """Have a docker on the PATH that never answers, and no stack in local mode."""
    stack.run("ops/down")
    place = stack.root / "bin"
    place.mkdir()
    (place / "docker").write_text("#!/bin/sh\nexec sleep 60\n")
    (place / "docker").chmod(0o755)
    (stack.root / "compose.yaml").touch()
    before = stack.environ["PATH"]
    stack.environ["PATH"] = f"{place}:{before}"
    try:
        yield
    finally:
        stack.environ["PATH"] = before
        (stack.root / "compose.yaml").unlink()
        done = stack.up()
        assert done.returncode == 0, done.stdout + done.stderr


WELL: Final = Fault("nothing", nothing)
LOCAL: Final = (
    WELL,
    Fault(
        "supervisord is stopped",
        signalled("supervisord", signal.SIGSTOP),
        {"status": 1, "status --json": 1, "logs --rotate": 1},
        r"supervisord is stopped \(process \d+\).*\n  remedy: kill -CONT \d+",
        shows={"logs --rotate": r"kill -CONT \d+"},
    ),
    Fault(
        "a worker is stopped",
        signalled("worker-1", signal.SIGSTOP),
        {
            "status": 1,
            "status --json": 1,
            "running": 1,
            "health": 1,
            "up": None,
            "logs --rotate": 1,
        },
        r"worker-1 is stopped \(process \d+\).*\n  remedy: kill -CONT \d+",
        shows={
            "running": r"worker 1: it is stopped: kill -CONT",
            "health": r"is stopped",
            "logs --rotate": r"worker-1 still writes to it \(.*kill -CONT \d+",
        },
    ),
    Fault(
        "all workers are stopped",
        signalled("worker", signal.SIGSTOP),
        {"status": 1, "status --json": 1, "running": 1, "health": 1, "up": 1, "logs --rotate": 1},
        r"worker-1 is stopped \(process \d+\).*\n  remedy: kill -CONT \d+",
        shows={"running": r"what is in flight is not known"},
    ),
    Fault(
        "nginx's master is stopped",
        signalled("nginx", signal.SIGSTOP),
        {"status": 1, "status --json": 1, "logs --rotate": 1},
        r"nginx is stopped \(process \d+\)",
        shows={"logs --rotate": r"nginx still writes to it \(.*kill -CONT \d+"},
    ),
    Fault(
        "nginx's workers are stopped",
        signalled("nginx's worker", signal.SIGSTOP),
        {
            **{"status": 1, "status --json": 1, "certificate": 1, "up": 1, "logs --rotate": 1},
            **dict.fromkeys(OBSERVED, 0),
        },
        r"nginx's worker is stopped(.|\n)*nginx does not answer",
        shows={"certificate": "does not answer"},
    ),
    Fault(
        "the observer is stopped",
        signalled("observer", signal.SIGSTOP),
        {"status": 1, "status --json": 1, **dict.fromkeys(OBSERVED, 503)},
        r"observer is stopped \(process \d+\)",
    ),
    Fault(
        "the event listener is stopped",
        signalled("process-events", signal.SIGSTOP),
        {"status": 1, "status --json": 1},
        r"process-events is stopped \(process \d+\)",
    ),
    Fault(
        "supervisord is killed",
        killed_for_good("supervisord"),
        {"status": 1, "status --json": 1, "logs --rotate": 1},
        r"supervisord does not answer",
    ),
    Fault(
        "a worker loads",
        killed_worker_that_loads,
        {"status": 1, "status --json": 1, "running": 1, "health": 1},
        r"worker-1 is loading its application.*\n  remedy: wait",
    ),
    Fault(
        "both workers drain",
        draining,
        {"status": 1, "status --json": 1, "health": 1, "up": 1},
        r"worker-0 is draining .* it finishes 2 requests.*\n  remedy: wait",
    ),
    Fault(
        "the run directory's disk is full",
        full(lambda stack: stack.disk),
        {"status": 1, "status --json": 1, "block": 1, "unblock": 1, "logs --rotate": 1},
        r"nginx cannot write to its disk(.|\n)*of the log (is|are) missing since",
        needs_disk=True,
    ),
    Fault(
        "the run directory's disk has no file left",
        no_more_files,
        {"status": 1, "status --json": 1, "block": 1, "unblock": 1, "logs --rotate": 1},
        r"has room for 0 more files",
        needs_disk=True,
    ),
    Fault(
        "the disk of temporary files is full",
        full(lambda stack: stack.temporary),
        {"status": 1, "status --json": 1, "report": 0},
        r"/tmp has 0 MiB left",
        needs_disk=True,
    ),
    Fault(
        "a worker has no descriptor left",
        out_of_descriptors("worker-1"),
        {"status": 1, "status --json": 1, **dict.fromkeys(("running", "health", "up"))},
        r"worker-1 has \d+ descriptors open",
    ),
    Fault(
        "supervisord has no descriptor left",
        out_of_descriptors("supervisord"),
        {"status": 1, "status --json": 1, "logs --rotate": None},
        r"supervisord does not answer",
    ),
    Fault(
        "nginx's workers have no descriptor left",
        out_of_descriptors("nginx's worker"),
        {
            **{"status": 1, "status --json": 1, "certificate": 1, "up": 1, "logs --rotate": 1},
            **dict.fromkeys(OBSERVED, 0),
        },
        r"nginx does not answer",
    ),
    Fault(
        "the observer has no descriptor left",
        out_of_descriptors("observer"),
        dict.fromkeys(OBSERVED, 503),
    ),
    Fault("a worker has no memory left", out_of_memory("worker-1")),
    Fault("the observer has no memory left", out_of_memory("observer")),
    Fault(
        "the certificate is renewed and not reloaded",
        another_certificate,
        {"status": 1, "status --json": 1, "certificate": 1},
        r"nginx serves another certificate than the one in the file.*\n  remedy: ops/certificate reload",
    ),
    Fault(
        "the command may open 12 files",
        nothing,
        prefix=("prlimit", "--nofile=12:12"),
    ),
    Fault(
        "the run directory is moved away",
        no_run_directory,
        dict.fromkeys(COMMANDS, 1)
        | dict.fromkeys(("status", "status --json", "running", "top"), 3)
        | dict.fromkeys(OBSERVED, 503),
        r"the stack does not run",
    ),
    Fault(
        "nothing runs, and the disk is full",
        no_room_to_start,
        dict.fromkeys(COMMANDS, 1)
        | dict.fromkeys(("status", "status --json", "running", "top"), 3)
        | dict.fromkeys(OBSERVED, 0),
        r"the stack does not run",
        needs_disk=True,
        shows={"up": "No space left on device"},
    ),
    Fault(
        "the container engine hangs",
        engine_that_hangs,
        dict.fromkeys(COMMANDS, 1) | {"up": 0},
        r"the container engine does not answer within 3 s",
    ),
)
