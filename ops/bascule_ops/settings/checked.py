"""The stack's settings in the environment of this process, which hands them on to all others."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

from bascule_ops import stack_settings


def set_defaults(environ: MutableMapping[str, str]) -> None:
    """Give what is not set its default; what has several names has one afterwards."""
    values = stack_settings.values(environ)
    for name in stack_settings.WORKERS_NAMES:
        environ.pop(name, None)
    environ.update(values)


def check(environ: Mapping[str, str]) -> None:
    """Raise `Refused` where a setting is wrong."""
    stack_settings.read(environ)


def drain_seconds(environ: Mapping[str, str]) -> int:
    """How long supervisor lets a worker drain: its own deadline comes first."""
    return int(float(environ["BASCULE_GRACEFUL_TIMEOUT"])) + 5
