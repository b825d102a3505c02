"""Several servers behind one address: what ``bascule --workers N`` becomes.

``python -P -m bascule_ops.supervision.processes N`` runs supervisord in this process, which the
server has checked the settings for and put all of them into the environment. supervisord holds the
listening socket for as long as any of them serves, and each has it as descriptor 0: whoever is
restarted, connections wait for the others. SIGHUP restarts them one after another, with what has
become of the code; SIGUSR1 has them open their logs anew; SIGTERM stops all.

The exit status is 0 where it was stopped, and 1 when nothing serves any more; the reason is on
standard error. supervisord itself exits 0 whatever became of its programs.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from xmlrpc.client import Fault

from bascule.config import Config, build
from supervisor import supervisord  # type: ignore[import-untyped]

from bascule_ops.supervision.client import ENDED, WORKERS, State, Supervisor
from bascule_ops.supervision.foreground import supervise
from bascule_ops.supervision.process_events import REASON_FILE

# How often it is looked whether a process has stopped or started (seconds).
INTERVAL: Final = 0.1
SOCKET: Final = "supervisor.sock"
# Bytes that are copied at once, and how long the last are waited for (seconds).
COPIED: Final = 65536
PATIENCE: Final = 1.0

_CONFIGURATION: Final = """\
[supervisord]
nodaemon = true
silent = true
logfile = {directory}/supervisord.log
logfile_maxbytes = 1MB
logfile_backups = 0
pidfile = {pid}
childlogdir = {directory}
minfds = 1024

[unix_http_server]
file = {directory}/{SOCKET}
chmod = 0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[fcgi-program:{WORKERS}]
socket = {socket}
socket_backlog = {backlog}
process_name = worker-%(process_num)d
numprocs = {number}
command = "{python}" -P -m bascule --bind fd://0
environment = BASCULE_WORKER="%(process_num)d"
autorestart = true
startsecs = 5
startretries = 2
stopsignal = TERM
stopwaitsecs = {stop_seconds}
killasgroup = true
stdout_logfile = /dev/fd/1
stdout_logfile_maxbytes = 0
stderr_logfile = /dev/fd/2
stderr_logfile_maxbytes = 0
stderr_events_enabled = true

[eventlistener:process-events]
command = "{python}" -P -m bascule_ops.supervision.process_events
environment = SUPERVISOR_DIR="{directory}",RUN_DIR="{directory}"
events = PROCESS_STATE,PROCESS_LOG_STDERR
priority = 1
buffer_size = 1000
autorestart = true
stdout_logfile = NONE
stderr_logfile = {events}
stderr_logfile_maxbytes = 0
"""


def configuration(config: Config, number: int, directory: Path) -> str:
    """Return supervisord's configuration.

    Args:
        config: of each server; it has one address.
        number: of servers.
        directory: for supervisord's own files.
    """
    (address,) = config.bind
    is_unix = address.startswith("unix:")
    url = f"unix://{address.removeprefix('unix:')}" if is_unix else f"tcp://{address}"
    values = {
        "SOCKET": SOCKET,
        "WORKERS": WORKERS,
        "directory": directory,
        "pid": config.pid or directory / "supervisord.pid",
        "socket": url + ("\nsocket_mode = 0660" if is_unix else ""),
        "backlog": min(config.backlog, 65535),
        "number": number,
        "python": sys.executable,
        "stop_seconds": int(config.graceful_timeout) + 5,
        # Its lines are JSON.
        "events": "/dev/fd/2" if config.access_logformat == "json" else "NONE",
    }
    return _CONFIGURATION.format_map({k: str(v).replace("%", "%%") for k, v in values.items()})


class Options(supervisord.ServerOptions):  # type: ignore[misc]  # it has no types
    """supervisord's, with other signals."""

    socket_path = ""

    def setsignals(self) -> None:
        """Hear SIGUSR1 as well, which would end this process."""
        super().setsignals()
        signal.signal(signal.SIGUSR1, self.signal_receiver.receive)

    def get_signal(self) -> int | None:
        """Return what came, but what supervisord does not do, or refuses connections for."""
        number: int | None = super().get_signal()
        if number == signal.SIGUSR1:
            for pid, process in self.pidhistory.items():
                if process.group.config.name == WORKERS:
                    self.kill(pid, number)
        elif number == signal.SIGHUP:
            threading.Thread(target=restart_each, args=(self.socket_path,), daemon=True).start()
        else:
            return number
        return None


_restarting: Final = threading.Lock()


def restart_each(path: str) -> None:
    """Restart the servers one after another; one that does not start again ends that.

    Args:
        path: of supervisord's socket.
    """
    if not _restarting.acquire(blocking=False):
        return
    try:
        supervisor = Supervisor(path)
        for name in _names(supervisor):
            supervisor.stop(name)
            _wait(supervisor, name, ENDED)
            supervisor.start(name)
            if _wait(supervisor, name, {*ENDED, State.RUNNING}) != State.RUNNING:
                _tell(f"{name} does not start again, so the others go on with what they have")
                return
    except (OSError, Fault) as error:  # it ends
        _tell(f"the servers are not restarted: {error}")
    finally:
        _restarting.release()


def _names(supervisor: Supervisor) -> Iterator[str]:
    for info in supervisor.processes():
        if info["group"] == WORKERS:
            yield f"{WORKERS}:{info['name']}"


def _wait(supervisor: Supervisor, name: str, states: set[State] | frozenset[State]) -> int:
    while (state := supervisor.process(name)["state"]) not in states:
        time.sleep(INTERVAL)
    return state


def _tell(message: str) -> None:
    # Not to sys.stderr, which is kept for supervisord's last words.
    os.write(2, f"bascule: {message}\n".encode())


def run(number: int) -> int:
    """Run supervisord until it ends; return the exit status."""
    config = build(os.environ["BASCULE_APP"], {}, os.environ)
    (address,) = config.bind
    try:
        with _openable(1), _openable(2):
            return _supervise(config, number)
    finally:
        if address.startswith("unix:"):
            _remove(address.removeprefix("unix:"))


@contextlib.contextmanager
def _openable(number: int) -> Iterator[None]:
    """Have a standard descriptor be one that /dev/fd leads to, as supervisord opens it by its path.

    systemd's journal is a socket, which open(2) refuses; a thread copies what is written to it.
    """
    if not stat.S_ISSOCK(os.fstat(number).st_mode):
        yield
        return
    journal = os.dup(number)
    reader, writer = os.pipe2(os.O_CLOEXEC)
    os.dup2(writer, number)
    os.close(writer)

    def copy() -> None:
        while data := os.read(reader, COPIED):
            os.write(journal, data)

    thread = threading.Thread(target=copy, daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.dup2(journal, number)
        thread.join(PATIENCE)


def _remove(path: str) -> None:
    """Remove a socket that supervisord has left, unless somebody else serves there by now."""
    with socket.socket(socket.AF_UNIX) as client:
        if client.connect_ex(path) == errno.ECONNREFUSED:
            os.unlink(path)  # noqa: PTH108 - as the address has it


def _supervise(config: Config, number: int) -> int:
    with tempfile.TemporaryDirectory(prefix="bascule-") as name:
        directory = Path(name)
        file = directory / "supervisord.conf"
        file.write_text(configuration(config, number, directory), encoding="utf-8")
        # They have the address as a descriptor, and supervisord has the other file.
        os.environ |= {"BASCULE_BIND": "", "BASCULE_PID": ""}
        Options.socket_path = str(directory / SOCKET)
        if complaint := supervise(Options, file):
            _tell(complaint)
            return 1
        with contextlib.suppress(FileNotFoundError):
            reason = json.loads((directory / REASON_FILE).read_text(encoding="utf-8"))
            _tell(f"nothing serves any more: {reason['message']}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(run(int(sys.argv[1])))
