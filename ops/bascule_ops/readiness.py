"""Ask workers, over their own sockets, whether they answer.

A socket's path alone proves little: it may be left over, or belong to the process that is
about to go. So a probe also tells which process listens (SO_PEERCRED, unix(7): the peer of
a connected stream socket is the process that called listen).
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import os
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bascule_ops import proc
from bascule_ops.errors import Refused
from bascule_ops.settings import variables
from bascule_ops.text.units import duration

# By these two a worker knows a health check, and does not log it while it succeeds.
PROBE_FIELDS = "User-Agent: bascule-health\r\nX-Bascule-Health: probe\r\n"
PROBE_TIMEOUT = 5.0  # seconds; a healthy worker answers in milliseconds
REPORT_TIMEOUT = 3.0  # and where somebody waits for the report on all of them


@dataclass(frozen=True, slots=True)
class Answer:
    """Who answered a probe and with what status.

    Attributes:
        pid: of the process; 0 where that is in a container beside this one (pid_namespaces(7)).
        status: of HTTP.
    """

    pid: int
    status: int

    @property
    def is_ready(self) -> bool:
        """The application answered, if only that it has nothing at that path."""
        return self.status < 500


def probe(
    path: Path, target: str, timeout: float = PROBE_TIMEOUT, *, of: int | None = None
) -> Answer:
    """Send one GET for `target` to the unix socket at `path`.

    `of`: to that process only; 0, which is supervisord's for none, is no process. Raises `OSError`
    where nothing listens or answers in time, or another process listens, and
    `http.client.HTTPException` where the answer is not HTTP.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout)
        sock.connect(str(path))
        pid = proc.listener(sock)
        if of is not None and not pid == of != 0:
            raise ConnectionRefusedError(f"process {of} does not listen there")
        sock.sendall(
            f"GET {target} HTTP/1.1\r\nHost: localhost\r\n{PROBE_FIELDS}"
            f"Connection: close\r\n\r\n".encode()
        )
        with http.client.HTTPResponse(sock, method="GET") as response:
            response.begin()
            return Answer(pid, response.status)


def worker_socket(run_dir: str, number: int) -> Path:
    """Where worker `number` listens."""
    return Path(run_dir, f"worker-{number}.sock")


def answers(
    run_dir: str, workers: int, target: str, timeout: float = PROBE_TIMEOUT
) -> Iterator[tuple[str, bool]]:
    """Probe all workers at the same time; yield a line about each, and whether it is ready."""
    with concurrent.futures.ThreadPoolExecutor(workers) as threads:
        yield from threads.map(
            lambda number: _asked(number, worker_socket(run_dir, number), target, timeout),
            range(workers),
        )


def _asked(number: int, path: Path, target: str, timeout: float) -> tuple[str, bool]:
    try:
        answer = probe(path, target, timeout)
    except TimeoutError as error:
        return f"worker-{number}: no answer: {_why_silent(path) or error}", False
    except (OSError, http.client.HTTPException) as error:
        return f"worker-{number}: {_loading(path) or f'no answer: {error}'}", False
    return f"worker-{number}: {answer.status} from process {answer.pid}", answer.is_ready


def _loading(path: Path) -> str:
    """For how long a process has been loading its application that is to listen there.

    It has bound its socket beside the path (`bascule.engine.listen`). Empty where there is none.
    """
    for beside in path.parent.glob(f".{path.name}.*"):
        with contextlib.suppress(OSError, ValueError):
            if proc.runs(int(beside.name.rpartition(".")[2])):
                return f"loading for {duration(max(0.0, time.time() - beside.stat().st_mtime))}"
    return ""


def _why_silent(path: Path) -> str:
    """What the kernel knows of whoever listens there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(0)
        try:
            sock.connect(str(path))
        except OSError:
            return ""
        return proc.why_silent(proc.listener(sock))


def report(run_dir: str, workers: int, target: str) -> int:
    """Print a line about each worker; return 0 where all are ready, else 1."""
    status = 0
    for line, is_ready in answers(run_dir, workers, target, REPORT_TIMEOUT):
        print(line)
        status = status if is_ready else 1
    return status


if __name__ == "__main__":
    try:
        stack = variables.read(os.environ)
    except Refused as refusal:
        sys.exit(str(refusal))
    sys.exit(report(str(stack.run_dir), stack.workers, stack.health_path))
