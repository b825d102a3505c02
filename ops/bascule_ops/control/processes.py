"""``basculectl restart NAME`` and ``scale NAME=N``: what a Procfile has beside web."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from xmlrpc.client import Fault

from bascule_ops import procfile
from bascule_ops.control import dotenv
from bascule_ops.control.containers import of_procfile
from bascule_ops.control.interrupts import Interrupts
from bascule_ops.control.journal import alone
from bascule_ops.control.output import say
from bascule_ops.control.project import Project
from bascule_ops.control.stack import Stack, find, not_running
from bascule_ops.errors import CommandError, Refused
from bascule_ops.generations import processes
from bascule_ops.supervision import slots


def restart(project: Project, name: str) -> int:
    """Replace the processes of one name; return the exit status."""
    stack = _running(project)
    with alone(stack.journal()):
        Interrupts.ignore()  # a process that has been stopped is to be started again
        _check(stack, (name,))
        if stack.mode == "docker":
            _compose(stack, "restart", (name,), {})
            say(f"Done: {name}.")
        else:
            started = _replace_here(stack, (name,), {})
            say(f"Done: {', '.join(started) or f'there is to be no {name}'}.")
    return 0


def scale(project: Project, numbers: Mapping[str, int]) -> int:
    """Have so many processes of these names; return the exit status."""
    settings = {procfile.setting(name): str(number) for name, number in numbers.items()}
    for name in settings:
        if os.environ.get(name):
            raise Refused(f"{name} is set in the environment, which goes before .env: unset it")
    stack = _running(project)
    with alone(stack.journal()):
        Interrupts.ignore()
        _check(stack, numbers)
        if stack.mode == "docker":
            command = "up --detach --no-build --no-deps --no-recreate"
            _compose(stack, command, numbers, settings)
        else:
            _replace_here(stack, numbers, settings)
        for name, value in settings.items():
            dotenv.keep(project.root, name, value)
        say(f"Done: {', '.join(f'{name}={number}' for name, number in numbers.items())}.")
    return 0


def _running(project: Project) -> Stack:
    stack = find(project)
    if stack.mode == "none":
        raise CommandError(not_running())
    return stack


def _check(stack: Stack, names: Iterable[str]) -> None:
    """Raise `Refused` for a name that there is no process of."""
    if stack.mode == "docker":
        known = procfile.processes(of_procfile(stack.containers.configuration()))
    else:
        known = procfile.processes(procfile.read(stack.project.root))
    for name in names:
        if name not in known:
            there = f"its processes are {', '.join(known)}" if known else "there are none"
            raise Refused(f"no process of the {procfile.FILE} is called {name}: {there}")


def _compose(stack: Stack, command: str, names: Iterable[str], settings: Mapping[str, str]) -> None:
    services = of_procfile(stack.containers.configuration())
    words = (*command.split(), *(services[name] for name in names))
    if stack.containers.compose(*words, settings=settings):
        raise CommandError("docker compose does not do it; its message is above")


def _replace_here(stack: Stack, names: Iterable[str], settings: Mapping[str, str]) -> list[str]:
    """Do it in local mode, with the settings of what serves and others; these it has from then."""
    run_dir = stack.local.run_dir
    try:
        file = run_dir / slots.SERVING / slots.ENVIRONMENT
        environ = {**slots.read_environment(file), **settings}
        started = processes.replace(run_dir, environ, tuple(names), is_scale=bool(settings))
        if settings:
            slots.write_environment(file, environ)
    except (OSError, Fault) as error:
        raise CommandError(f"supervisord does not do it: {error}") from error
    return started
