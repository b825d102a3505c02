"""What a Procfile has beside web, in local mode: programs of the site's supervisord.

Each process is a program of its own, ``worker.1``. It is replaced by being stopped, which it is
given PROCFILE_GRACE for, and started again: so of no process are there ever two.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final

from bascule_ops import atomic, procfile
from bascule_ops.control.output import say
from bascule_ops.errors import CommandError
from bascule_ops.supervision import slots
from bascule_ops.supervision.client import ENDED, Supervisor

STOP_MARGIN: Final = 10  # seconds that supervisord may take beyond the grace
_POLL: Final = 0.05
_PROGRAM: Final = """\
[program:{name}]
command = "%(ENV_OPS_PYTHON)s" -P -m bascule_ops.supervision.slots {name}
; Stopped before nginx and the workers, which they may ask.
priority = 400
autorestart = true
; However it ends, it has failed. One that does so again and again is started after pauses that grow
; by a second each, for as long as it takes.
exitcodes =
startsecs = 10
startretries = 1000000
stopsignal = TERM
; What the shell started goes with it only when it is killed: TERM is for the command itself.
killasgroup = true
stopwaitsecs = {grace}
stdout_logfile = /dev/fd/1
stdout_logfile_maxbytes = 0
stderr_logfile = /dev/fd/2
stderr_logfile_maxbytes = 0
stderr_events_enabled = true
"""


def configure(run_dir: Path, wanted: Iterable[str], grace: int) -> None:
    """Write what supervisord is to look after. Raises `OSError`."""
    text = "\n".join(_PROGRAM.format(name=name, grace=grace) for name in wanted)
    atomic.write(run_dir / slots.PROCESSES, text)


def of_project(environ: Mapping[str, str]) -> tuple[list[str], int]:
    """What is to run for a project, and its grace. Raises `CommandError`.

    Args:
        environ: its settings, PROJECT_DIR among them.
    """
    entries = procfile.read(Path(environ["PROJECT_DIR"]))
    return procfile.wanted(entries, environ), procfile.grace(environ)


def release(environ: Mapping[str, str]) -> None:
    """Run the project's release, if it has one. Raises `CommandError` where that fails.

    Args:
        environ: as that of `of_project`.
    """
    entry = procfile.read(Path(environ["PROJECT_DIR"])).get(procfile.RELEASE)
    if entry is None:
        return
    say(f"release: {entry.command}")
    process = subprocess.Popen(
        [environ["OPS_PYTHON"], "-P", "-m", "bascule_ops.procfile", procfile.RELEASE],
        cwd=environ["PROJECT_DIR"],
        env=environ,
        stdin=subprocess.DEVNULL,
        close_fds=False,  # it has the operation's lock as well
    )
    try:
        status = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    if status:
        raise CommandError(f"the Procfile's release ended with status {status}, as told above")


def replace(
    run_dir: Path,
    environ: Mapping[str, str],
    kinds: Collection[str] | None = None,
    *,
    is_scale: bool = False,
) -> list[str]:
    """Have those run that the project is to have now; return which were started.

    Args:
        run_dir: of the stack, whose site's supervisord runs.
        environ: as that of `of_project`.
        kinds: names of the Procfile that are meant; None: all. Others go on as they are.
        is_scale: those that are there, and still are to be, go on as well.

    Raises `CommandError`, `OSError` and `xmlrpc.client.Fault`; it can be done again then.
    """
    supervisor = Supervisor(str(run_dir / "supervisor.sock"))
    wanted, grace = of_project(environ)
    there = [each["name"] for each in supervisor.processes() if procfile.is_process(each["name"])]
    meant = {
        name
        for name in (*there, *wanted)
        if (kinds is None or procfile.kind(name) in kinds)
        and not (is_scale and name in there and name in wanted)
    }
    ended = [name for name in there if name in meant]
    new = [name for name in wanted if name in meant]
    if not meant:
        return []
    configure(run_dir, [*(name for name in there if name not in meant), *new], grace)
    _end(supervisor, ended, grace)
    for name in ended:
        supervisor.remove(name)
    supervisor.reread()
    for name in new:
        supervisor.add(name)
    return new


def _end(supervisor: Supervisor, names: Collection[str], grace: int) -> None:
    """Stop them, all at the same time, and wait for that."""
    for each in supervisor.processes():
        if each["name"] in names and each["state"] not in ENDED:
            supervisor.stop(each["name"])
    deadline = time.monotonic() + grace + STOP_MARGIN
    while any(
        each["name"] in names and each["state"] not in ENDED for each in supervisor.processes()
    ):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{', '.join(names)} did not end within {grace + STOP_MARGIN} s")
        time.sleep(_POLL)
