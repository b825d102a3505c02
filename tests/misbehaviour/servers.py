"""How each server is started: one worker, four threads."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from tests.misbehaviour.cases import Case

THREADS: Final = 4
GRACEFUL: Final = 2  # seconds
BASCULE: Final = "bascule"
GUNICORN: Final = "gunicorn"
WAITRESS: Final = "waitress"
SERVERS: Final = (BASCULE, GUNICORN, WAITRESS)

# In the stack supervisor replaces a worker that ended, as gunicorn's arbiter does.
SUPERVISED: Final = """\
[supervisord]
nodaemon=true
logfile=/dev/null
logfile_maxbytes=0
pidfile={directory}/supervisord.pid

[program:worker]
command={command}
startsecs=0
autorestart={restarts}
stopwaitsecs={patience}
redirect_stderr=true
stdout_logfile=/dev/fd/1
stdout_logfile_maxbytes=0
"""


def command(
    server: str, case: Case, port: int, directory: Path, *, restarts: bool = True
) -> list[str]:
    """Return the command line that serves a case on a port of the loopback address.

    Where the case may end its worker, our own has a supervisor, which restarts it if it is to.
    """
    address = f"127.0.0.1:{port}"
    if server == WAITRESS:
        return [
            *(sys.executable, "-m", "waitress", f"--listen={address}", f"--threads={THREADS}"),
            case.application,
        ]
    usual = [
        *("--bind", address, "--threads", str(THREADS), "--timeout", f"{case.timeout:g}"),
        *("--graceful-timeout", str(GRACEFUL)),
        *("--access-logfile", case.access_log or "-"),
        case.application,
    ]
    if server == GUNICORN:
        # The default of 2 s for idle connections is of no matter: every client closes its own.
        return [
            *(sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--workers", "1"),
            *("--no-control-socket", *usual),
        ]
    own = [sys.executable, "-m", "bascule", *usual]
    return _supervised(own, directory, restarts) if case.ends_worker else own


def _supervised(worker: list[str], directory: Path, restarts: bool) -> list[str]:
    file = directory / "supervisord.conf"
    file.write_text(
        SUPERVISED.format(
            directory=directory,
            command=" ".join(worker),
            restarts=str(restarts).lower(),
            patience=GRACEFUL + 2,
        )
    )
    return [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(file)]
