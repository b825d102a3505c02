"""The settings of a whole stack; the server and nginx check their own."""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from typing import Final

from bascule_ops.errors import Refused

# Empty counts as a value where the default is not used then.
DEFAULTS: Final = {
    "WORKERS": "2",
    "BASCULE_CHAIN": "",
    "BASCULE_GRACEFUL_TIMEOUT": "30",
    "BASCULE_ACCESS_LOGFORMAT": "json",
    "HEALTH_PATH": "/",
}
APPLICATION: Final = "bascule_middleware.wsgi:application"  # it reads BASCULE_CHAIN

_FORMS: Final = (
    ("WORKERS", r"[1-9][0-9]?", "set it to the number of worker processes, 1 to 99"),
    ("BASCULE_GRACEFUL_TIMEOUT", r"[0-9]+(\.[0-9]*)?", "set it to seconds, such as 30"),
    (
        "BASCULE_APP",
        r"(?!:)[A-Za-z0-9_.:]+(?<!:)",
        "set it to MODULE:CALLABLE, such as project.wsgi:application",
    ),
    (
        "HEALTH_PATH",
        r"[A-Za-z0-9_.~/%?=&+:@,-]+",
        "set it to a path that the application answers, such as /",
    ),
    ("HEALTH_PATH", r"/.*", "it starts with a slash"),
)


def set_defaults(environ: MutableMapping[str, str]) -> None:
    """Give what is not set its default."""
    for name, default in DEFAULTS.items():
        environ.setdefault(name, default)
    environ["BASCULE_APP"] = environ.get("BASCULE_APP") or APPLICATION


def check(environ: Mapping[str, str]) -> None:
    """Raise `Refused` where a setting is wrong."""
    for name, form, remedy in _FORMS:
        if not re.fullmatch(form, environ[name]):
            raise Refused(f'{name} is "{environ[name]}": {remedy}')


def drain_seconds(environ: Mapping[str, str]) -> int:
    """How long supervisor lets a worker drain: its own deadline comes first."""
    return int(float(environ["BASCULE_GRACEFUL_TIMEOUT"])) + 5
