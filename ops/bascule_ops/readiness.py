"""Ask workers, over their own sockets, whether they answer.

A socket's path alone proves little: it may be left over, or belong to the process that is
about to go. So a probe also tells which process listens (SO_PEERCRED, unix(7): the peer of
a connected stream socket is the process that called listen).
"""

from __future__ import annotations

import http.client
import os
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bascule_ops.errors import Refused
from bascule_ops.settings import variables

# By these two a worker knows a health check, and does not log it while it succeeds.
PROBE_FIELDS = "User-Agent: bascule-health\r\nX-Bascule-Health: probe\r\n"
PROBE_TIMEOUT = 5.0  # seconds; a healthy worker answers in milliseconds


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

    def is_from(self, pid: int) -> bool:
        """Whether that process answered. 0, which is supervisord's for none, is no process."""
        return self.pid == pid != 0


def probe(path: Path, target: str, timeout: float = PROBE_TIMEOUT) -> Answer:
    """Send one GET for `target` to the unix socket at `path`.

    Raises `OSError` where nothing listens or answers in time, and
    `http.client.HTTPException` where the answer is not HTTP.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout)
        sock.connect(str(path))
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, _, _ = struct.unpack("3i", credentials)
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


def answers(run_dir: str, workers: int, target: str) -> Iterator[tuple[str, bool]]:
    """Probe the workers one after the other; yield a line about each, and whether it is ready."""
    for number in range(workers):
        try:
            answer = probe(worker_socket(run_dir, number), target)
        except (OSError, http.client.HTTPException) as error:
            yield f"worker-{number}: no answer: {error}", False
        else:
            yield f"worker-{number}: {answer.status} from process {answer.pid}", answer.is_ready


def report(run_dir: str, workers: int, target: str) -> int:
    """Print a line about each worker; return 0 where all are ready, else 1."""
    status = 0
    for line, is_ready in answers(run_dir, workers, target):
        print(line)
        status = status if is_ready else 1
    return status


if __name__ == "__main__":
    try:
        stack = variables.read(os.environ)
    except Refused as refusal:
        sys.exit(str(refusal))
    sys.exit(report(str(stack.run_dir), stack.workers, stack.health_path))
