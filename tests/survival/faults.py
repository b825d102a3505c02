"""The faults: what is done to a stack, what its status has to say, and who mends it."""

from __future__ import annotations

import itertools
import re
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.harness.tree import LIMIT
from tests.harness.waiting import wait_until
from tests.survival.stacks import Breakable

HANGING: Final = 20  # calls at the same time that never end
WORKS: Final = "sleep 86400"  # a process of the Procfile
TIMEOUT: Final = 5  # seconds, of the workers: so that what hangs is seen to

LOCAL: Final = ("local",)
CONTAINERS: Final = ("containers",)
BOTH: Final = (*LOCAL, *CONTAINERS)

Injection = Callable[[Breakable], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is broken.

    Attributes:
        name: of it.
        inject: breaks it; its end mends what no command of ours can.
        says: what a check says of it, as a regular expression.
        heals: whether the stack may be well again without anybody's doing.
        remedy: what the check says is to be done, as a regular expression; it is done, as printed,
            while the fault lasts, or after its end where it says "mend that, then".
        settings: of the stack.
        modes: in which it can be done.
        after: seconds until it is one, such as a deadline.
        disk: that it needs, of `Breakable.disks`.
    """

    name: str
    inject: Injection
    says: str
    heals: bool = True
    remedy: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    modes: tuple[str, ...] = BOTH
    after: float = 0.0
    disk: str = ""


def _first(stack: Breakable) -> tuple[str, str]:
    """The name of one of the workers, and its process."""
    return min(stack.processes().items())


@contextmanager
def worker_killed(stack: Breakable) -> Iterator[None]:
    """Kill a worker."""
    stack.kill(_first(stack)[1])
    yield


@contextmanager
def worker_stopped(stack: Breakable) -> Iterator[None]:
    """Have a worker stand still."""
    stack.send(_first(stack)[1], signal.SIGSTOP)
    yield


@contextmanager
def all_hang(stack: Breakable) -> Iterator[None]:
    """Call what never ends, more often than there are threads; the clients wait on."""
    with ExitStack() as clients:
        for number in range(HANGING):
            client = clients.enter_context(
                closing(socket.create_connection(("127.0.0.1", stack.port)))
            )
            client.sendall(
                f"GET /hangs?token=hangs-{number}&seconds=86400 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
            )
        yield


def import_that(how: str) -> Injection:
    """Have the next import be ``slow``, or ``fails`` or is ``wrong``, and kill a worker."""

    @contextmanager
    def inject(stack: Breakable) -> Iterator[None]:
        stack.order_import(how)
        stack.kill(_first(stack)[1])
        try:
            yield
        finally:
            stack.order_import("")

    return inject


def part_killed(part: str) -> Injection:
    """Kill ``nginx`` or a ``supervisord``."""

    @contextmanager
    def inject(stack: Breakable) -> Iterator[None]:
        stack.kill_part(part)
        yield

    return inject


def full(disk: str) -> Injection:
    """Leave no byte on a disk."""

    @contextmanager
    def inject(stack: Breakable) -> Iterator[None]:
        stack.fill(disk)
        try:
            yield
        finally:
            stack.empty(disk)

    return inject


def started(*services: str) -> Injection:
    """Stop all containers, and start them in that order."""

    @contextmanager
    def inject(stack: Breakable) -> Iterator[None]:
        names = {}
        for each in services:
            found = stack.must("docker", "compose", "ps", "--all", "--quiet", each)
            names[each] = found.stdout.strip()
        stack.must("docker", "stop", *names.values())
        for each in services:
            stack.must("docker", "start", names[each])
        wait_until(stack.processes, "the workers to answer", limit=LIMIT)
        yield

    return inject


@contextmanager
def out_of_memory(stack: Breakable) -> Iterator[None]:
    """Have the kernel kill a worker because its container needs too much memory."""
    container, pid = _first(stack)[1].split()
    more = "b = bytearray(1 << 34)"
    raised = f"echo 1000 >/proc/{pid}/oom_score_adj"
    stack.must("docker", "exec", container, "sh", "-c", raised)
    stack.run("docker", "exec", container, "python3", "-c", more)
    yield


def ended(program: str) -> Injection:
    """Have supervisord end a program for good."""

    @contextmanager
    def inject(stack: Breakable) -> Iterator[None]:
        stack.end(program)
        yield

    return inject


def procfile(command: str) -> Injection:
    """Have a process of the Procfile, which ends again and again, or is ended by hand."""

    @contextmanager
    def inject(stack: Breakable) -> Iterator[None]:
        file = stack.root / "Procfile"
        file.write_text(f"worker: {command}\n")
        stack.must("ops/restart", "worker")
        if command == WORKS:
            stack.end("worker.1")
        yield
        file.write_text(f"worker: {WORKS}\n")

    return inject


@contextmanager
def interpreter_held(stack: Breakable) -> Iterator[None]:
    """Call what never gives the interpreter back."""
    with closing(socket.create_connection(("127.0.0.1", stack.port))) as client:
        client.sendall(b"GET /holds?token=holds&holds=86400 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        yield


@contextmanager
def no_descriptors(stack: Breakable) -> Iterator[None]:
    """Let a worker open nothing more."""
    pid = int(_first(stack)[1])
    taken = {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    lowest = next(number for number in itertools.count() if number not in taken)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest, hard))
    yield


@contextmanager
def another_version(stack: Breakable) -> Iterator[None]:
    """Change Bascule under the running stack, and kill a worker."""
    file = stack.root / "server" / "bascule" / "version.py"
    before = file.read_text()
    file.write_text(re.sub('"[0-9].*"', '"99.0"', before))
    assert file.read_text() != before
    stack.kill(_first(stack)[1])
    yield


@contextmanager
def socket_removed(stack: Breakable) -> Iterator[None]:
    """Remove the name of a worker's socket."""
    (stack.sockets / "worker-0.sock").unlink()
    yield


@contextmanager
def number_changed(stack: Breakable) -> Iterator[None]:
    """Tell nginx of a worker that is not there."""
    (stack.sockets / "workers").write_text("7\n")
    yield


@contextmanager
def counters_broken(stack: Breakable) -> Iterator[None]:
    """Write something else over the workers' counters."""
    with (stack.sockets / "metrics").open("r+b") as file:
        file.write(b"broken")
    yield


def compose(*commands: str) -> Injection:
    """Do something with ``docker compose`` by hand."""

    @contextmanager
    def inject(stack: Breakable) -> Iterator[None]:
        for each in commands:
            stack.must("docker", "compose", *each.split())
        yield

    return inject


def _full(name: str, disk: str, modes: tuple[str, ...]) -> Fault:
    says = r"has \d+ MiB left|more files|cannot write to its disk|log (is|are) missing"
    return Fault(f"{name} is full", full(disk), says, heals=False, modes=modes, disk=disk)


ALL: Final = (
    Fault("a worker is killed", worker_killed, r"worker-\d"),
    Fault(
        "a worker is stopped",
        worker_stopped,
        r"worker-\d is stopped \(process \d+\)",
        remedy=r"kill -CONT \d+",
    ),
    Fault(
        f"{HANGING} calls hang",
        all_hang,
        r"requests? hangs?",
        heals=False,
        remedy="ops/restart ends them",
        after=TIMEOUT,
        settings={"BASCULE_TIMEOUT": str(TIMEOUT)},
    ),
    Fault(
        "a call holds the interpreter",
        interpreter_held,
        r"worker-\d runs but does not answer",
    ),
    Fault("the import is slow", import_that("slow"), r"worker-\d is loading", heals=False),
    Fault(
        "the import fails",
        import_that("fails"),
        r"worker-\d .*database does not answer",
        heals=False,
    ),
    Fault("nginx is killed", part_killed("nginx"), r"nginx"),
    Fault("supervisord is killed", part_killed("supervisord"), r"supervisord does not|server"),
    Fault(
        "the site's supervisord is killed",
        part_killed("the site's supervisord"),
        r"supervisord does not answer",
        remedy="ops/down, then ops/up",
        modes=LOCAL,
    ),
    _full("the run directory's disk", "run directory", LOCAL),
    _full("the disk of temporary files", "temporary files", BOTH),
    _full("the sockets' disk", "sockets", CONTAINERS),
    _full("supervisor's disk", "supervisor's files", CONTAINERS),
    _full("nginx's disk", "nginx's files", CONTAINERS),
    Fault(
        "memory runs out",
        out_of_memory,
        r"want of memory|worker-\d",
        settings={"SERVER_MEMORY": "512m"},
        modes=CONTAINERS,
    ),
    Fault("nginx starts first", started("nginx", "server"), "nginx|worker", modes=CONTAINERS),
    Fault("the server starts first", started("server", "nginx"), "nginx|worker", modes=CONTAINERS),
)
# What else a check can be about, by what it says is to be done.
REMEDIES: Final = (
    Fault(
        "a process of the Procfile keeps ending",
        procfile("exit 3"),
        r"worker\.1 ended \d+ times",
        remedy="last words; mend that, then ops/restart ",
        modes=LOCAL,
    ),
    Fault(
        "a process of the Procfile is ended by hand",
        procfile(WORKS),
        r"worker\.1 is STOPPED",
        remedy="^ops/restart ",
        modes=LOCAL,
    ),
    Fault(
        "the code is wrong",
        import_that("wrong"),
        r"worker-\d could not be started",
        remedy="ops/logs shows why; mend that, then ops/restart",
    ),
    Fault(
        "nginx knows too many workers",
        number_changed,
        "nginx knows 7 workers",
        remedy="where it does not, ops/restart tells it once more",
    ),
    Fault(
        "nginx is ended by hand",
        ended("nginx"),
        "nginx",
        remedy="where it has ended, ops/up starts it again",
    ),
    Fault(
        "a worker is ended by hand",
        ended("bascule:worker-0"),
        "worker-0 is stopped",
        remedy="ops/restart starts it",
    ),
    Fault(
        "the observer is ended by hand",
        ended("observer"),
        "the observer is",
        remedy="ops/logs shows why, ops/restart starts it",
    ),
    Fault(
        "a socket's name is gone",
        socket_removed,
        "worker-0.sock is not there",
        remedy="ops/restart makes it anew",
    ),
    Fault(
        "the counters are broken",
        counters_broken,
        "counters cannot be read",
        remedy="ops/restart makes the file anew",
    ),
    Fault(
        "a worker has no descriptor left",
        no_descriptors,
        r"has \d+ descriptors open",
        remedy="ops/restart helps for a while",
        modes=LOCAL,
    ),
    Fault(
        "workers of two versions",
        another_version,
        "workers differ in their version",
        remedy="a deployment was not finished: ops/restart",
        modes=LOCAL,
    ),
    Fault(
        "the server is paused",
        compose("pause server"),
        "the container of server stands still",
        remedy="docker compose unpause (server|.service.)",
        modes=CONTAINERS,
    ),
    Fault(
        "the server is ended by hand",
        compose("stop server"),
        "the container of server ended",
        remedy="ops/logs shows its last words; ops/up starts it",
        modes=CONTAINERS,
    ),
    Fault(
        "the server's container is only made",
        compose("rm --stop --force server", "create --no-build server"),
        "the container of server has not been started",
        remedy="^ops/up starts it$",
        modes=CONTAINERS,
    ),
    Fault(
        "the server's container is removed",
        compose("rm --stop --force server"),
        "the container of server is not there",
        remedy="ops/up makes it",
        modes=CONTAINERS,
    ),
)
