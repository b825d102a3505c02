"""The stack's own settings: names, defaults and checks, for whatever starts or watches workers.

The server's settings have their home in `bascule.config`, nginx's in
``nginx/docker-entrypoint.d/10-settings.envsh``, and what compose consumes itself in
``docker-compose.yml``. An empty variable is an unset one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from bascule.config import CHAIN_ENTRY, default_text, settings, variable

from bascule_ops.errors import Refused
from bascule_ops.files import NGINX
from bascule_ops.settings.directories import check_run_dir

# Where the number of workers stands: the first that is set counts. The second is what platforms
# set that run one image.
WORKERS_NAMES: Final = ("BASCULE_WORKERS", "WEB_CONCURRENCY", "WORKERS")

DEFAULTS: Final[Mapping[str, str]] = {
    "WORKERS": "2",
    "BASCULE_APP": "",  # the chain's entry
    "BASCULE_CHAIN": "",  # chain.toml of the project, else app/chain.toml
    # The server's own: how long a worker may take to stop, and a call to show progress.
    **{
        variable(setting.name): default_text(setting)
        for setting in settings()
        if setting.name in ("graceful_timeout", "timeout")
    },
    "BASCULE_ACCESS_LOGFORMAT": "json",
    "HEALTH_PATH": "/",
    "PROCFILE_GRACE": "30",  # seconds
    # docker-compose.yml has it once more, for its health checks.
    "START_TIMEOUT": "120",
}
NGINX_SETTINGS: Final = NGINX / "docker-entrypoint.d" / "10-settings.envsh"
_NGINX_NAME: Final = re.compile(r"\bNGINX_[A-Z_]+\b")
_OURS: Final = ("BASCULE_", "NGINX_")
_NEAR: Final = 0.85  # of 1, as difflib measures it: one letter wrong, missing or too many
# The container's; local mode has others.
DIRECTORIES: Final[Mapping[str, str]] = {
    "RUN_DIR": "/run/bascule",
    "SUPERVISOR_DIR": "/run/supervisor",
    "NGINX_STATIC_DIR": "/var/lib/bascule/static",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSettings:
    """What the environment says, checked.

    Attributes:
        workers: how many worker processes there are to be, 1 to 99.
        application: ``MODULE:CALLABLE``; the chain's entry where none is named.
        chain: the chain file; empty where the chain's entry is to find it.
        graceful_timeout: seconds that a worker has for requests in flight, once asked to stop.
        timeout: seconds that a call may go on without a sign of progress; 0: no limit.
        access_logformat: of the workers; the server checks it.
        health_path: the path that health checks ask for.
        start_timeout: seconds that workers may take from their start until they answer.
        run_dir: where the workers' sockets are.
    """

    workers: int
    application: str
    chain: str
    graceful_timeout: float
    timeout: float
    access_logformat: str
    health_path: str
    start_timeout: float
    run_dir: Path


def read(environ: Mapping[str, str]) -> StackSettings:
    """Return the settings.

    Raises:
        Refused: one is wrong.
    """
    values = _with_defaults(environ)
    return StackSettings(
        workers=workers(environ),
        application=_application(values),
        chain=values["BASCULE_CHAIN"],
        graceful_timeout=_seconds("BASCULE_GRACEFUL_TIMEOUT", values),
        timeout=_seconds("BASCULE_TIMEOUT", values),
        access_logformat=values["BASCULE_ACCESS_LOGFORMAT"],
        health_path=_health_path(values),
        start_timeout=_start_timeout(values),
        run_dir=_run_dir(values),
    )


def misspelt(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each variable that nobody reads but whose name is nearly a setting's, and that name."""
    named = {name for name in environ if name.startswith(_OURS)}
    if not named:
        return
    known = {*DEFAULTS, *WORKERS_NAMES, *(variable(setting.name) for setting in settings())}
    known |= set(_NGINX_NAME.findall(NGINX_SETTINGS.read_text()))
    for name in sorted(named - known):
        if near := difflib.get_close_matches(name, known, n=1, cutoff=_NEAR):
            yield name, near[0]


def workers(environ: Mapping[str, str]) -> int:
    """Return the number of workers.

    Raises:
        Refused: it is none from 1 to 99.
    """
    name = next((each for each in WORKERS_NAMES if environ.get(each)), "WORKERS")
    number = environ.get(name) or DEFAULTS["WORKERS"]
    if not re.fullmatch(r"[1-9][0-9]?", number, re.ASCII):
        _refuse(name, number, "set it to the number of worker processes, 1 to 99")
    return int(number)


def directory(name: str, environ: Mapping[str, str]) -> Path:
    """Return what RUN_DIR, SUPERVISOR_DIR or NGINX_STATIC_DIR says, unchecked."""
    return Path(environ.get(name) or DIRECTORIES[name])


def values(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings as they are written, unchecked; the directories are not among them."""
    found = {name: environ.get(name) or default for name, default in DEFAULTS.items()}
    found["WORKERS"] = next(
        (environ[name] for name in WORKERS_NAMES if environ.get(name)), found["WORKERS"]
    )
    found["BASCULE_APP"] = found["BASCULE_APP"] or CHAIN_ENTRY
    return found


def set_defaults(environ: MutableMapping[str, str]) -> None:
    """Give what is not set its default; what has several names has one afterwards.

    The largest body is one setting, nginx's, which the workers' follows unless it has its own.

    For the environment of a process that hands it on to all others, so that they read the same.
    """
    found = values(environ)
    for name in WORKERS_NAMES:
        environ.pop(name, None)
    environ.update(found)
    size = _bytes(environ.get("NGINX_CLIENT_MAX_BODY_SIZE", ""))
    if size and not environ.get("BASCULE_LIMIT_REQUEST_BODY"):
        environ["BASCULE_LIMIT_REQUEST_BODY"] = size


def drain_seconds(environ: Mapping[str, str]) -> int:
    """How long supervisor lets a worker drain: its own deadline comes first.

    Args:
        environ: with the defaults in it.
    """
    return int(float(environ["BASCULE_GRACEFUL_TIMEOUT"])) + 5


def _bytes(size: str) -> str:
    """A size of nginx's in bytes; empty where it is none, which nginx says."""
    found = re.fullmatch("([0-9]+)([kKmMgG]?)", size, re.ASCII)
    return (
        str(int(found[1]) << {"": 0, "k": 10, "m": 20, "g": 30}[found[2].lower()]) if found else ""
    )


def _with_defaults(environ: Mapping[str, str]) -> dict[str, str]:
    known = {**DEFAULTS, **DIRECTORIES}
    return {name: environ.get(name) or default for name, default in known.items()}


def _refuse(name: str, value: str, why: str) -> NoReturn:
    raise Refused(f'{name} is "{value}": {why}')


def _application(values: Mapping[str, str]) -> str:
    value = values["BASCULE_APP"] or CHAIN_ENTRY
    if not re.fullmatch(r"[A-Za-z0-9_.][A-Za-z0-9_.:]*(\(.*\))?", value) or value.endswith(":"):
        remedy = "set it to MODULE:CALLABLE, such as project.wsgi:application"
        _refuse("BASCULE_APP", value, remedy)
    return value


def _seconds(name: str, values: Mapping[str, str]) -> float:
    value = values[name]
    if not re.fullmatch(r"[0-9]+(\.[0-9]*)?", value):
        _refuse(name, value, "set it to seconds, such as 30")
    return float(value)


def _health_path(values: Mapping[str, str]) -> str:
    value = values["HEALTH_PATH"]
    if not re.fullmatch(r"[A-Za-z0-9_.~/%?=&+:@,-]+", value):
        _refuse("HEALTH_PATH", value, "set it to a path that the application answers, such as /")
    if not value.startswith("/"):
        _refuse("HEALTH_PATH", value, "set it to a path that starts with a slash")
    return value


def _start_timeout(values: Mapping[str, str]) -> float:
    value = values["START_TIMEOUT"]
    if not re.fullmatch("[1-9][0-9]*", value, re.ASCII):
        _refuse("START_TIMEOUT", value, "set it to whole seconds, such as 120")
    return float(value)


def _run_dir(values: Mapping[str, str]) -> Path:
    check_run_dir(values["RUN_DIR"])
    return Path(values["RUN_DIR"])
