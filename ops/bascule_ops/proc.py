"""What the kernel tells of processes (proc(5)): no process has to answer for it.

Linux only, as supervisor's stack is. Nothing here but `environ` raises for a process that has gone.
"""

from __future__ import annotations

import os
import re
import socket
import struct
from pathlib import Path
from typing import Final, NamedTuple

STOPPED: Final = "T"  # by SIGSTOP, SIGTSTP, SIGTTIN or SIGTTOU; SIGCONT has it go on
TRACED: Final = "t"  # a debugger holds it
DEAD: Final = "ZX"  # it only waits to be reaped
_PARTS: Final = (
    (re.compile(r"/(worker-\d+)\.sock"), r"\1"),
    (re.compile(r"/observer\.sock"), "observer"),
    (re.compile(r"^nginx: master"), "nginx"),
    (re.compile(r"^nginx: worker"), "nginx's worker"),
    (re.compile(r"bascule_ops\.supervision\.process_events"), "process-events"),
    (re.compile(r"bascule_ops\.supervision\.supervised"), "supervisord"),
)


class Part(NamedTuple):
    """A process of a stack.

    Attributes:
        name: such as ``worker-0``, ``nginx``, ``nginx's worker``.
        pid: of it.
    """

    name: str
    pid: int


def state(pid: int) -> str:
    """The letter of a process's state; empty where there is none, or it is not to be seen."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return ""
    # The name before it is in parentheses and may have any byte in it.
    return stat.rpartition(b")")[2].split()[0].decode("ascii")


def started(pid: int) -> float | None:
    """When a process was started, in seconds since the epoch; None where there is none."""
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])
        (booted,) = re.findall(r"^btime (\d+)$", Path("/proc/stat").read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(booted) + ticks / os.sysconf("SC_CLK_TCK")


def environ(process: Path) -> dict[str, str]:
    """What a process was started with. Raises `OSError`: it has gone, or is another user's.

    Args:
        process: its directory in /proc.
    """
    pairs = (process / "environ").read_bytes().split(b"\0")
    return dict(os.fsdecode(pair).partition("=")[::2] for pair in pairs)


def runs(pid: int) -> bool:
    """Whether there is such a process; one that only waits to be reaped is none."""
    return state(pid) not in ("", *DEAD)


def part_of(pid: int) -> Part | None:
    """Which part of a stack a process is, by its command line; None for any other process."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:
        return None
    text = words.decode("utf-8", "replace")
    for pattern, name in _PARTS:
        if match := pattern.search(text):
            return Part(match.expand(name), pid)
    return None


def parts(supervisord: int) -> list[Part]:
    """The parts of the stack of that supervisord, it itself among them.

    What an application started is no part: it may well have stopped a process of its own.
    """
    found = [part_of(supervisord), *map(part_of, children(supervisord))]
    # Those of a generation, which has a supervisord of its own (local mode).
    for each in [each for each in found[1:] if each and each.name == "supervisord"]:
        found += map(part_of, children(each.pid))
    masters = [each.pid for each in found if each and each.name == "nginx"]
    found += [part_of(child) for master in masters for child in children(master)]
    return [each for each in found if each]


def stopped(supervisord: int) -> list[Part]:
    """Those of its parts that are stopped."""
    return [each for each in parts(supervisord) if state(each.pid) == STOPPED]


def children(pid: int) -> list[int]:
    """The processes that a process started, as long as they run."""
    found: list[int] = []
    for task in _listed(Path(f"/proc/{pid}/task")):
        try:
            found += map(int, (task / "children").read_bytes().split())
        except OSError:
            continue  # a thread that has ended
    return found


def listener(sock: socket.socket) -> int:
    """The process behind a connection to a unix socket: who called listen() (SO_PEERCRED).

    0 where that is not to be had: of TCP, and of a process in another container.
    """
    if sock.family != socket.AF_UNIX:
        return 0
    try:
        found = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except OSError:
        return 0
    return int(struct.unpack("3i", found)[0])


def why_silent(pid: int) -> str:
    """What the kernel knows of why a process does not answer; empty where that is nothing."""
    match state(pid):
        case "T":
            return f"process {pid} is stopped (SIGSTOP): kill -CONT {pid} has it go on"
        case "t":
            return f"a debugger holds process {pid}"
        case "D":
            return f"process {pid} waits for a disk"
    return ""


def _listed(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:
        return []
