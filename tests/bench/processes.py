"""Server processes: started on their core, awaited, measured and ended as whole trees."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.harness import fetch
from tests.harness.processes import EndedError, Process, tree
from tests.harness.waiting import NotInTimeError

START_SECONDS: Final = 15.0  # until a server must have answered its first request
TICK_US: Final = 1_000_000 / os.sysconf("SC_CLK_TCK")

PR_SET_CHILD_SUBREAPER: Final = 36  # prctl(2)

# Lists of cores, as taskset(1) has them.
SERVER_CORES: Final = "0"
LOAD_CORES: Final = "1"
# The whole stack has two cores, and the load a third where there is one.
STACK_CORES: Final = "0,1"
STACK_LOAD_CORES: Final = "2" if (os.cpu_count() or 1) > 2 else STACK_CORES


class StartError(Exception):
    """A server did not start, or does not answer; the message has its last words."""


def pinned(cores: str, command: Sequence[str]) -> list[str]:
    """Return the command that runs `command` on some cores only."""
    return ["taskset", "-c", cores, *command]


class Server(Process):
    """A running server and every process under it; nothing that it could still say is of interest.

    Attributes:
        address: where it will listen, ``HOST:PORT`` or ``unix:PATH``.
    """

    def __init__(
        self,
        command: Sequence[str],
        address: str,
        log: Path,
        *,
        cores: str = SERVER_CORES,
    ) -> None:
        super().__init__(pinned(cores, command), log=log)
        self.address = address

    def __exit__(self, *_: object) -> None:
        self.kill()

    def wait_until_it_answers(self, target: str = "/") -> None:
        """Return after the first response with status 200.

        Raises:
            StartError: it ended, or gave no such response in `START_SECONDS`.
        """

        def answers() -> bool:
            return fetch.fetch(parsed(self.address), target, limit=5).status == 200

        try:
            self.wait_until(answers, "an answer", limit=START_SECONDS, passing=fetch.NO_RESPONSE)
        except EndedError:
            raise StartError(f"ended with status {self.status}: {self._last_words()}") from None
        except NotInTimeError as error:
            first_line, *_ = str(error).splitlines()
            raise StartError(f"{first_line} {self._last_words()}") from None

    def _last_words(self) -> str:
        return " / ".join(line.strip() for line in self.words.splitlines()[-3:])

    def cpu_us(self) -> float:
        """Return the processor time of all its processes, in µs, as `cpu_us`."""
        return cpu_us(self.pids())

    def pss_bytes(self) -> list[int]:
        """Return each process's proportional share of memory; shared pages count by parts."""
        found = []
        for pid in self.pids():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found.append(pss(Path(f"/proc/{pid}/smaps_rollup").read_text()))
        return found

    def reset_peak_bytes(self) -> int:
        """Forget how much memory was resident at most; return how much is now."""
        for pid in self.pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # proc(5)
        return self.peak_bytes()

    def peak_bytes(self) -> int:
        """Return how much memory was resident at most, the sum of its processes."""
        return sum(peak(Path(f"/proc/{pid}/status").read_text()) for pid in self.pids())


@contextlib.contextmanager
def none_left() -> Iterator[None]:
    """End every process under this one when the block ends, however it does.

    A `Server` ends what is its own. But who is interrupted while a process starts, before there
    is anything that keeps it (`subprocess.Popen` itself waits until its program begins), cannot;
    and what a command leaves running when it ends, as `basculectl up` does, has no `Server`.
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # what is orphaned becomes our child
    try:
        yield
    finally:
        _, *below = tree(os.getpid())
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.wait()


def cpu_us(pids: Iterable[int]) -> float:
    """Return the processor time, user and system, of some processes, in µs.

    That of children which have ended counts as well, at a clock that ticks every 10 ms.
    """
    used = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):  # it has ended
            used += time.clock_gettime_ns(_processor_clock(pid)) / 1000
            used += ticks_of_ended_children(Path(f"/proc/{pid}/stat").read_text()) * TICK_US
    return used


def _processor_clock(pid: int) -> int:
    """Return the clock of a process's time as clock_getcpuclockid(3) makes it: scheduled, in ns."""
    return ~pid << 3 | 2


def ticks_of_ended_children(stat: str) -> int:
    """Return the clock ticks in ``/proc/PID/stat``: cutime and cstime (proc(5)).

    The command's name is in parentheses and may itself have spaces and parentheses.
    """
    numbers = stat[stat.rindex(")") + 2 :].split()
    return sum(int(each) for each in numbers[13:15])


def pss(smaps_rollup: str) -> int:
    """Return the bytes of the line ``Pss:`` in ``/proc/PID/smaps_rollup`` (proc(5))."""
    return _kibibytes(smaps_rollup, "Pss:")


def peak(status: str) -> int:
    """Return the bytes of the line ``VmHWM:`` in ``/proc/PID/status`` (proc(5))."""
    return _kibibytes(status, "VmHWM:")


def _kibibytes(text: str, name: str) -> int:
    for line in text.splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no {name} there")


def parsed(address: str) -> fetch.Address:
    """Return ``HOST:PORT`` or ``unix:PATH`` as an address."""
    if address.startswith("unix:"):
        return Path(address.removeprefix("unix:"))
    host, _, port = address.rpartition(":")
    return host, int(port)


def connect(address: str, timeout: float = 5.0) -> socket.socket:
    """Return a stream socket that is connected to ``HOST:PORT`` or ``unix:PATH``."""
    connection = fetch.connect(parsed(address), limit=timeout)
    connection.connect()
    assert isinstance(connection.sock, socket.socket)
    return connection.sock
