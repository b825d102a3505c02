"""Server processes: started on their core, awaited, measured and ended as whole trees."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Self

ROOT: Final = Path(__file__).parents[2]
START_SECONDS: Final = 15.0  # until a server must have answered its first request
POLL_SECONDS: Final = 0.02
TICK_US: Final = 1_000_000 / os.sysconf("SC_CLK_TCK")

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


class Server:
    """A running server and every process under it."""

    def __init__(
        self,
        command: Sequence[str],
        address: str,
        log: Path,
        *,
        cores: str = SERVER_CORES,
    ) -> None:
        """Start `command`, which will listen on `address` (``HOST:PORT`` or ``unix:PATH``).

        It gets a session of its own, so that all of it can be ended at once.
        """
        self.address = address
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                pinned(cores, command),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_until_it_answers(self, target: str = "/") -> None:
        """Return after the first response with status 200.

        Raises:
            StartError: it ended, or gave no such response in `START_SECONDS`.
        """
        deadline = time.monotonic() + START_SECONDS
        problem = "no answer"
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise StartError(
                    f"ended with status {self._process.returncode}: {self._last_words()}"
                )
            try:
                status = get(self.address, target)
            except (OSError, http.client.HTTPException) as error:
                problem = str(error)
            else:
                if status == 200:
                    return
                problem = f"status {status}"
            time.sleep(POLL_SECONDS)
        raise StartError(f"not ready after {START_SECONDS:g} s ({problem}): {self._last_words()}")

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return " / ".join(line.strip() for line in lines[-3:]) or "it wrote nothing"

    def is_running(self) -> bool:
        """Whether the process that was started still runs."""
        return self._process.poll() is None

    def pids(self) -> list[int]:
        """Return the ids of all its processes, its own first."""
        return list(tree(self._process.pid))

    def cpu_us(self) -> float:
        """Return the processor time, user and system, of all its processes, in µs.

        That of children which have ended counts as well; the clock ticks every 10 ms.
        """
        ticks = 0
        for pid in self.pids():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                ticks += cpu_ticks(Path(f"/proc/{pid}/stat").read_text())
        return ticks * TICK_US

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

    def stop(self) -> None:
        """End the whole tree at once; nothing it could still say is of interest."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def tree(pid: int) -> Iterator[int]:
    """Return the ids of a process and of all under it, its own first."""
    yield pid
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for child in (task / "children").read_text().split():
                    yield from tree(int(child))


@contextlib.contextmanager
def none_left() -> Iterator[None]:
    """End every process under this one when the block ends, however it does.

    A `Server` ends what is its own. But who is interrupted while a process starts, before there
    is anything that keeps it (`subprocess.Popen` itself waits until its program begins), cannot.
    """
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


def cpu_ticks(stat: str) -> int:
    """Return the clock ticks in ``/proc/PID/stat``: utime, stime, cutime and cstime (proc(5)).

    The command's name is in parentheses and may itself have spaces and parentheses.
    """
    numbers = stat[stat.rindex(")") + 2 :].split()
    return sum(int(each) for each in numbers[11:15])


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


def connect(address: str, timeout: float = 5.0) -> socket.socket:
    """Return a stream socket that is connected to ``HOST:PORT`` or ``unix:PATH``."""
    if address.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        try:
            sock.connect(address.removeprefix("unix:"))
        except OSError:
            sock.close()
            raise
        return sock
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout)


def get(address: str, target: str) -> int:
    """Send one GET on a connection of its own and return the status."""
    with connect(address) as sock:
        head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        sock.sendall(head.encode())
        with http.client.HTTPResponse(sock, method="GET") as response:
            response.begin()
            return response.status
