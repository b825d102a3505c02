"""Several servers behind one address: what ``bascule --workers N`` becomes.

``python -P -m bascule_ops.supervision.processes N`` runs supervisord in this process, which the
server has checked the settings for and put all of them into the environment. This process holds the
listening socket until it ends, and each has it as descriptor 0: whoever is restarted, even all of
them at once, connections wait. SIGHUP restarts them one after another, with what has become of the
code; SIGUSR1 has them open their logs anew; SIGTERM stops all.

The exit status is 0 where it was stopped, 1 when nothing serves any more, and 3 where it cannot
start; the reason is on standard error. supervisord itself exits 0 whatever became of its programs.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from xmlrpc.client import Fault

from bascule import systemd
from bascule.config import Config, build
from bascule.engine.listen import Listener, open_listener
from bascule.errors import StartError
from bascule.pid_file import PidFile
from supervisor import process, states  # type: ignore[import-untyped]

from bascule_ops.supervision import foreground
from bascule_ops.supervision.client import ENDED, WORKERS, State, Supervisor
from bascule_ops.supervision.process_events import REASON_FILE

# How often it is looked whether a process has stopped or started (seconds).
INTERVAL: Final = 0.1
SOCKET: Final = "supervisor.sock"
CANNOT_START: Final = 3  # as bascule.command has it
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
pidfile = {directory}/supervisord.pid
childlogdir = {directory}
minfds = 1024

[unix_http_server]
file = {directory}/{SOCKET}
chmod = 0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[program:{WORKERS}]
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
        config: of each server.
        number: of servers.
        directory: for supervisord's own files.
    """
    values = {
        "SOCKET": SOCKET,
        "WORKERS": WORKERS,
        "directory": directory,
        "number": number,
        "python": sys.executable,
        "stop_seconds": int(config.graceful_timeout) + 5,
        # Its lines are JSON.
        "events": "/dev/fd/2" if config.access_logformat == "json" else "NONE",
    }
    return _CONFIGURATION.format_map({k: str(v).replace("%", "%%") for k, v in values.items()})


class Options(foreground.Options):
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


class Process(process.Subprocess):  # type: ignore[misc]  # it has no types
    """supervisord's, which hands on the listening socket.

    Attributes:
        listener: its descriptor.
    """

    listener: int
    killing: bool
    laststart: float

    @property
    def _is_server(self) -> bool:
        return bool(self.group.config.name == WORKERS)

    def _prepare_child_fds(self) -> None:
        if self._is_server:
            self.pipes["child_stdin"] = self.listener
        super()._prepare_child_fds()

    def finish(self, pid: int, sts: int) -> None:
        """See `supervisor.process.Subprocess`.

        A server that ended well has served for as long as it was to (--max-requests): that is no
        start that failed, however short it was.
        """
        is_starting = self.state == states.ProcessStates.STARTING
        if self._is_server and is_starting and not (self.killing or sts):
            self.change_state(states.ProcessStates.RUNNING)
            self.laststart -= self.config.startsecs
        super().finish(pid, sts)


_restarting: Final = threading.Lock()
_asked: Final = threading.Semaphore(2)  # one that is at it, and one that begins after that


def restart_each(path: str) -> None:
    """Restart the servers one after another; one that does not start again ends that.

    Args:
        path: of supervisord's socket.
    """
    if not _asked.acquire(blocking=False):
        return
    try:
        with _restarting:
            _restart_each(Supervisor(path))
    except (OSError, Fault) as error:  # it ends
        _tell(f"the servers are not restarted: {error}")
    finally:
        _asked.release()


def _restart_each(supervisor: Supervisor) -> None:
    for name in _names(supervisor):
        supervisor.stop(name)
        _wait(supervisor, name, ENDED)
        supervisor.start(name)
        if _wait(supervisor, name, {*ENDED, State.RUNNING}) != State.RUNNING:
            _tell(f"{name} does not start again, so the others go on with what they have")
            return


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
    try:
        with _listening(config) as listener, _openable(1), _openable(2):
            Process.listener = listener.socket.fileno()
            process.Subprocess = Process
            return _supervise(config, number)
    except StartError as error:
        _tell(str(error))
        return CANNOT_START


@contextlib.contextmanager
def _listening(config: Config) -> Iterator[Listener]:
    """Have the address and the file of --pid, as one process would."""
    (address,) = config.bind
    pid_file = PidFile(config.pid) if config.pid else None
    listener = open_listener(address, config.backlog)
    try:
        listener.publish()
        if pid_file:
            pid_file.write()
        yield listener
    finally:
        listener.withdraw()
        if pid_file:
            pid_file.remove()


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


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    try:
        own = tempfile.TemporaryDirectory(prefix="bascule-")
    except OSError as error:
        raise StartError(f"no directory for supervisord's files (TMPDIR): {error}") from error
    with own as name:
        yield Path(name)


def _supervise(config: Config, number: int) -> int:
    with _directory() as directory:
        file = directory / "supervisord.conf"
        file.write_text(configuration(config, number, directory), encoding="utf-8")
        # They have the address as a descriptor; the file and systemd are this process's.
        os.environ |= {"BASCULE_BIND": "", "BASCULE_PID": ""}
        systemd.tell_ready()
        os.environ.pop("NOTIFY_SOCKET", None)
        Options.socket_path = str(directory / SOCKET)
        if complaint := foreground.supervise(Options, file):
            raise StartError(complaint)
        with contextlib.suppress(FileNotFoundError):
            reason = json.loads((directory / REASON_FILE).read_text(encoding="utf-8"))
            _tell(f"nothing serves any more: {reason['message']}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(run(int(sys.argv[1])))
