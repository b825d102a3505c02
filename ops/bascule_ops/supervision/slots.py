"""The two places of local mode for generations of the server, ``a`` and ``b``.

Each is a directory in the run directory, for a supervisord of its own, with the environment of its
programs in a file. The link ``serving`` leads to the one that serves. The supervisord of the site
(supervisord-site.conf) starts by this module what runs in them, and nginx, which gets the
environment of what serves.
"""

from __future__ import annotations

import glob
import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn

from bascule_ops.supervision.trial import HOLD_FILE, TAKEN_FILE

# The argument of `supervised` for the supervisord of the site.
SITE: Final = "site"
FIRST: Final = "a"
SLOTS: Final = (FIRST, "b")
SERVING: Final = "serving"
# In SUPERVISOR_DIR of the supervisord that writes the log: leads to that process's descriptors, by
# which the workers, and local mode's nginx, write to the log themselves (`bascule.told.log_route`).
LOG_ROUTE: Final = "fd"
ENVIRONMENT: Final = "environment"
PROCESSES: Final = "processes.conf"  # of the Procfile, for the supervisord of the site


def pattern(path: Path) -> str:
    """What supervisord's [include] finds a file by: spaces separate patterns there."""
    return re.sub(r"\s", "?", glob.escape(str(path)))


def program(slot: str) -> str:
    """What the supervisord of the site calls a generation."""
    return f"server-{slot}"


def serving(run_dir: Path) -> str:
    """Return the slot that serves."""
    return (run_dir / SERVING).readlink().name


def other(slot: str) -> str:
    """Return the other slot."""
    return SLOTS[1 - SLOTS.index(slot)]


def let_serve(run_dir: Path, slot: str) -> None:
    """Give a slot the name of what serves, in one step."""
    link = run_dir / f".{SERVING}"
    link.unlink(missing_ok=True)
    link.symlink_to(slot)
    link.rename(run_dir / SERVING)


def let_take_over(run_dir: Path, slot: str) -> None:
    """Let the workers of a slot have the sockets."""
    (run_dir / slot / TAKEN_FILE).touch()
    (run_dir / slot / HOLD_FILE).unlink(missing_ok=True)


def has_taken_over(run_dir: Path, slot: str) -> bool:
    """Whether they were let, and no others since."""
    directory = run_dir / slot
    return (directory / TAKEN_FILE).exists() and not (directory / HOLD_FILE).exists()


def prepare(run_dir: Path, slot: str, environ: Mapping[str, str], *, is_held: bool) -> None:
    """Make a slot anew; `is_held`: its workers are to be tried before they take anything over."""
    clear(run_dir, slot)
    directory = run_dir / slot
    directory.mkdir(mode=0o700)
    if is_held:
        (directory / HOLD_FILE).touch()
    own = {
        "SUPERVISOR_DIR": str(directory),
        # Past the site's supervisord. Before that runs there is no such way.
        "NGINX_ACCESS_LOG": f"{run_dir}/{LOG_ROUTE}/1",
    }
    write_environment(directory / ENVIRONMENT, {**environ, **own})


def clear(run_dir: Path, slot: str) -> None:
    """Remove what is left of a generation that has ended."""
    shutil.rmtree(run_dir / slot, ignore_errors=True)


def write_environment(path: Path, environ: Mapping[str, str]) -> None:
    """Write an environment, for its owner only. JSON in ASCII can hold every byte of it."""
    path.touch(mode=0o600)
    path.write_text(json.dumps(dict(environ)), encoding="ascii")


def read_environment(path: Path) -> dict[str, str]:
    """Return an environment. Raises `OSError`, `ValueError`."""
    return dict(json.loads(path.read_text(encoding="ascii")))


def become(what: str) -> NoReturn:
    """Become the supervisord of a slot; or, with the environment of what serves, another program.

    ``nginx`` is that, ``reload`` has it read its configuration, and ``nginx-follower`` sees to that
    where the number of workers changes; ``worker.1`` and the like are of the Procfile.
    """
    run_dir = Path(os.environ["RUN_DIR"])
    environ = read_environment(run_dir / (what if what in SLOTS else SERVING) / ENVIRONMENT)
    source, python = environ["NGINX_SOURCE_DIR"], [environ["OPS_PYTHON"], "-P", "-m"]
    match what:
        case "nginx":
            command = ["/bin/sh", f"{source}/docker-entrypoint.sh"]
        case "reload":
            command = ["/bin/sh", f"{source}/docker-entrypoint.sh", what]
        case "nginx-follower":
            reload = [*python, "bascule_ops.supervision.slots", "reload"]
            command = ["bash", f"{source}/follow.sh", *reload]
        case _ if what in SLOTS:
            command = [*python, "bascule_ops.supervision.supervised"]
        case _:
            command = [*python, "bascule_ops.procfile", what]
            os.chdir(environ["PROJECT_DIR"])
    os.execvpe(command[0], command, environ)  # noqa: S606 (no shell is wanted)


if __name__ == "__main__":
    become(sys.argv[1])
