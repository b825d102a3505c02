"""supervisord's XML-RPC interface over its unix socket (http://supervisord.org/api.html)."""

from __future__ import annotations

import http.client
import json
import socket
import xmlrpc.client
from collections.abc import Iterable
from enum import IntEnum
from typing import Any, TypedDict, cast

# Names in supervisor's configuration: the workers' group, how the two programs of each worker
# begin, what shows the stack, and those without which it serves on.
WORKERS = "bascule"
WORKER = "worker-"
SUCCESSOR = "successor-"
OBSERVER = "observer"
BESIDE = frozenset({OBSERVER, "nginx-follower"})

SHUTDOWN_STATE = 6  # its fault while it ends (http://supervisord.org/api.html)
CALL_TIMEOUT = 10.0  # seconds; every call here answers at once, none waits for a process


class State(IntEnum):
    """A process's states (http://supervisord.org/subprocess.html#process-states)."""

    STOPPED = 0
    STARTING = 10
    RUNNING = 20
    BACKOFF = 30
    STOPPING = 40
    EXITED = 100
    FATAL = 200
    UNKNOWN = 1000


ENDED = frozenset({State.STOPPED, State.EXITED, State.FATAL, State.UNKNOWN})


class ProcessInfo(TypedDict):
    """What `supervisor.getProcessInfo` tells, as far as it is used here."""

    group: str
    name: str
    pid: int
    state: int
    statename: str
    spawnerr: str
    exitstatus: int
    start: int
    stop: int
    now: int


def workers(processes: Iterable[ProcessInfo]) -> list[ProcessInfo]:
    """Return who is each worker at present, or is to be: of its two programs one runs.

    While one replaces the other, it is the one before, until that stops.
    """
    found: dict[str, ProcessInfo] = {}
    for info in processes:
        if info["group"] == WORKERS:
            number = info["name"].rpartition("-")[2]
            found[number] = min(found.get(number, info), info, key=_rank)
    return list(found.values())


def _rank(info: ProcessInfo) -> tuple[bool, bool, int, bool]:
    has_ended = info["state"] in ENDED
    stops = info["state"] == State.STOPPING
    since = -info["start"] if has_ended else info["start"]
    return has_ended, stops, since, info["name"].startswith(SUCCESSOR)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__()
        self._path = path
        self._timeout = timeout

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = _UnixConnection(self._path, self._timeout)
        # Kept where `close` looks for it.
        self._connection = (host, connection)
        return connection


class Supervisor:
    """The calls that `ops` makes; `timeout` is in seconds.

    Raises `OSError` where supervisord does not answer and `xmlrpc.client.Fault` where it
    refuses.
    """

    def __init__(self, path: str, timeout: float = CALL_TIMEOUT) -> None:
        self._proxy = xmlrpc.client.ServerProxy("http://localhost", _UnixTransport(path, timeout))

    def close(self) -> None:
        """Give the connection up."""
        self._proxy("close")()

    def processes(self) -> list[ProcessInfo]:
        """All processes, in the order of their groups."""
        return cast(list[ProcessInfo], self._proxy.supervisor.getAllProcessInfo())

    def process(self, name: str) -> ProcessInfo:
        """One process, by its full name such as ``bascule:worker-0``."""
        return cast(ProcessInfo, self._proxy.supervisor.getProcessInfo(name))

    def start(self, name: str) -> None:
        """Start a process; return at once."""
        self._proxy.supervisor.startProcess(name, False)

    def stop(self, name: str) -> None:
        """Ask a process to stop; return at once."""
        self._proxy.supervisor.stopProcess(name, False)

    def reread(self) -> None:
        """Have it read its configuration; its processes stay as they are."""
        self._proxy.supervisor.reloadConfig()

    def add(self, group: str) -> None:
        """Have it look after a group that its configuration has."""
        self._proxy.supervisor.addProcessGroup(group)

    def remove(self, group: str) -> None:
        """Have it forget a group, all of which has ended."""
        self._proxy.supervisor.removeProcessGroup(group)

    def signal(self, name: str, signal: str) -> None:
        """Send a process a signal, by its name such as ``HUP``."""
        self._proxy.supervisor.signalProcess(name, signal)

    def lost_log(self) -> dict[str, Any]:
        """Return what the log has lost, by ``now`` and ``aside`` (see `log_writing.Tally`)."""
        return cast(dict[str, Any], json.loads(cast(str, self._proxy.log.lost())))

    def shutdown(self) -> None:
        """Stop all processes, then supervisord."""
        self._proxy.supervisor.shutdown()
