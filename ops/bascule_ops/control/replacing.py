"""``basculectl restart``, ``deploy``, ``rollback`` and ``scale``: other workers take over."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from bascule_ops import procfile, program
from bascule_ops.arguments import checked
from bascule_ops.control import dotenv, journal, processes
from bascule_ops.control.interrupts import Interrupts
from bascule_ops.control.journal import Entry, Journal, Order
from bascule_ops.control.output import say
from bascule_ops.control.project import Project
from bascule_ops.control.stack import Stack, find, not_running
from bascule_ops.errors import CommandError, Refused
from bascule_ops.generations.containers import ContainerSite
from bascule_ops.generations.local import LocalSite, left_over
from bascule_ops.generations.replacement import Left, Site, mend, replace
from bascule_ops.settings import variables

_EXIT: Final = "Exit status 0: done. 1: not done, and the old workers serve. 2: wrong arguments"
_DONE: Final = "Done: the new workers serve."
_UNKNOWN: Final = Entry(0, Order("deploy"))  # where the journal is gone
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class _Work:
    """The one operation on a stack that runs."""

    def __init__(self, project: Project) -> None:
        self._stack = find(project)
        if self._stack.mode == "none":
            raise CommandError(not_running())
        self._stack.check_place()
        self._interrupts = Interrupts()

    def do(self, order: Order) -> int:
        """Put other workers into service; return the exit status."""
        with self._alone() as entries:
            self._check(order)
            entry = entries.read() or _UNKNOWN
            earlier = self._site(entry.order)
            if left := earlier.left():
                say("An operation before this one was cut off; that comes first.")
                self._mend(earlier, left, entry, entries)
            return self._carry_out(order, entries)

    def end(self, *, is_resumed: bool) -> int:
        """Bring to its end what was cut off, or do it anew; return the exit status."""
        with self._alone() as entries:
            found = entries.read()
            entry = found or _UNKNOWN
            site = self._site(entry.order)
            left = site.left()
            if not (left or found):
                raise CommandError("no operation was cut off")
            is_done = entry.is_proven or bool(left and left.has_taken_over)
            if left:
                self._mend(site, left, entry, entries)
            if is_resumed and found and not is_done:
                say(f"{entry} begins again.")
                self._check(entry.order)
                return self._carry_out(entry.order, entries)
            entries.clear()
            say(_DONE if is_done else "What served goes on.")
        return 0

    @contextmanager
    def _alone(self) -> Iterator[Journal]:
        try:
            with journal.alone(self._stack.journal()) as entries:
                yield entries
        finally:
            self._interrupts.restore()

    def _carry_out(self, order: Order, entries: Journal) -> int:
        site = self._site(order)
        entry = Entry(os.getpid(), order)
        entries.write(entry)
        try:
            replace(site, order.timeout, self._interrupts, lambda: self._prove(entry, entries))
        finally:
            if not site.left():
                entries.clear()
        say(_DONE)
        if site.note:
            say(site.note)
        return 0

    def _mend(self, site: Site, left: Left, entry: Entry, entries: Journal) -> None:
        limit = entry.order.timeout
        mend(site, left, limit, self._interrupts, lambda: self._prove(entry, entries))

    def _prove(self, entry: Entry, entries: Journal) -> None:
        """Keep that the new workers serve; the next start is to know how many were asked for."""
        if entry.order.workers:
            dotenv.keep(self._stack.project.root, "WORKERS", str(entry.order.workers))
        entries.write(entry.proven())

    def _site(self, order: Order) -> Site:
        is_restart, is_rollback = order.command == "restart", order.command == "rollback"
        has_release = order.command in ("deploy", "rollback")
        if self._stack.mode == "local":
            environ = None if is_restart else {**os.environ, **order.settings}
            return LocalSite(
                self._stack.local, environ, is_rollback=is_rollback, has_release=has_release
            )
        return ContainerSite(
            self._stack.project.root,
            {**self._stack.project.environ, **order.settings},
            is_restart=is_restart,
            build=order.build,
            tag=order.tag,
            is_rollback=is_rollback,
            has_release=has_release,
        )

    def _check(self, order: Order) -> None:
        """Refuse what local mode cannot do."""
        if self._stack.mode == "docker" or order.command == "restart":
            return
        if order.build or order.tag:
            raise Refused(
                "--build and --image are for containers; in local mode the code is the project's"
            )
        variables.read({**os.environ, **order.settings})
        _check_installed(self._stack.project.root)


def cut_off(stack: Stack) -> dict[str, str] | None:
    """What is to be said of an operation that was killed; None where none has left a thing."""
    left = None
    with suppress(OSError):  # another version's, or one that is about to go
        if stack.local.marker.exists():
            left = left_over(stack.local)
        elif any(each.is_beside for each in stack.containers.servers):
            with suppress(CommandError):
                left = ContainerSite(stack.project.root, stack.project.environ).left()
    name = journal.cut_off(stack.journal()) if left else ""
    return _words(name, left) if left and name else None


def _words(name: str, left: Left) -> dict[str, str]:
    serves = f"{left.what} {left.serves} is proven and serves"
    if left.has_taken_over:
        rest = f", {left.what} {left.other} is left over" if left.other else ""
        return {
            "message": f"{name} was cut off when its new workers had taken over: {serves}{rest}",
            "remedy": "ops/deploy --resume finishes it",
        }
    return {
        "message": f"{name} was cut off: {serves}, {left.what} {left.other} is left over and is "
        "not to serve",
        "remedy": "ops/deploy --resume goes on with it, ops/deploy --abort removes what is left",
    }


def _add_timeout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--timeout",
        type=checked(_seconds),
        metavar="SECONDS",
        help="how long the new workers may take until they answer (START_TIMEOUT; more, where "
        "those that serve took longer)",
    )


def _seconds(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]*", text, re.ASCII):
        raise ValueError(f'it is "{text}": give it whole seconds, such as 60')
    return int(text)


class RestartCommand:
    """The same code and settings, in new processes."""

    HELP: Final = "put new processes in the place of the workers, without losing a request"
    DESCRIPTION: Final = """\
Puts new workers in the place of those that serve, with the settings that those have, without losing
a request. The new ones start beside the old ones with the code and the chain.toml that are there
now (with containers those of the image that runs). When every one of them answers HEALTH_PATH they
take the sockets over, and the old ones finish what they have and end. If they do not answer in
time they are removed, and the old ones go on as if nothing had been. Then the Procfile's processes
are replaced; with a NAME of the Procfile its processes alone are.

A process of the Procfile is stopped, has PROCFILE_GRACE seconds to end, and is started anew."""
    EPILOG: Final = f"""\
Settings (the environment, .env) and, with containers, new code are for deploy.

{_EXIT}."""

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Add what the command takes."""
        parser.add_argument(
            *("process",), nargs="?", metavar="NAME",
            help="of the Procfile: replace its processes alone, such as worker",
        )  # fmt: skip
        _add_timeout(parser)

    @staticmethod
    def run(options: argparse.Namespace, project: Project) -> int:
        """Restart; return the exit status."""
        if options.process:
            return processes.restart(project, options.process)
        return _Work(project).do(Order("restart", options.timeout))


class DeployCommand:
    """New code or new settings."""

    HELP: Final = "put new code or new settings into service, without losing a request"
    DESCRIPTION: Final = """\
Puts new code, new settings (.env, the environment) or another number of WORKERS into service
without losing a request. The new workers start beside the old ones. When every one of them
answers HEALTH_PATH they take the sockets over, nginx learns how many they are, and the old
ones finish what they have and end. If they do not answer in time, they are removed, their last
lines are shown, and the old ones go on as if nothing had been.

The Procfile's release is run first; where it fails nothing has changed. Its other processes are
replaced once the new workers serve.

With containers the code is the image's: without --build or --image it is the one that has the
tag of docker-compose.yml, and the deployment is for new settings. The image before it keeps
a name, TAG-previous, for rollback. In local mode the code is the project's."""
    EPILOG: Final = f"""\
Ctrl-C leaves the old workers serving, until the new ones have taken over; from there it is
finished. {_EXIT} or settings."""

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Add what the command takes."""
        image = parser.add_mutually_exclusive_group()
        image.add_argument(
            "--build", action="store_true", help="containers: build the server's image first"
        )
        image.add_argument(
            *("--image",), type=checked(_tag), metavar="TAG",
            help="containers: use the server's image that has this tag",
        )  # fmt: skip
        image.add_argument(
            *("--resume",), action="store_true",
            help="go on with an operation that was killed, or begin it again",
        )  # fmt: skip
        image.add_argument(
            *("--abort",), action="store_true",
            help="remove what an operation left that was killed; where its workers have taken "
            "over, finish it",
        )  # fmt: skip
        _add_timeout(parser)

    @staticmethod
    def run(options: argparse.Namespace, project: Project) -> int:
        """Deploy; return the exit status."""
        if options.resume or options.abort:
            return _Work(project).end(is_resumed=options.resume)
        return _Work(project).do(
            Order("deploy", options.timeout, options.build, options.image or "")
        )


def _tag(text: str) -> str:
    if not _TAG.fullmatch(text):
        raise ValueError(f'it is "{text}": give it an image\'s tag')
    return text


def _check_installed(root: Path) -> None:
    """See that what a checkout's processes run with is not about to be taken from under them."""
    lock, installed = root / "requirements" / "stack.txt", root / ".venv-run" / "installed.txt"
    if not (lock.is_file() and installed.is_file()):
        return
    if not installed.read_bytes().startswith(lock.read_bytes()):
        raise CommandError(
            "requirements/stack.txt has changed, and the running processes use what is installed: "
            "that needs ops/down and ops/up"
        )


class RollbackCommand:
    """What served before the last deployment."""

    HELP: Final = "go back to what served before the last deployment"
    DESCRIPTION: Final = """\
Goes back to what served before the last deployment, without losing a request. It is a deployment
itself, and a second rollback goes forward again.

With containers it is the image before (tag latest-previous), with the settings that are in .env
now. In local mode it is the settings before: the code is the project's, so put that back first
where it is the code that is wrong."""
    EPILOG: Final = f"{_EXIT}."

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Add what the command takes."""
        _add_timeout(parser)

    @staticmethod
    def run(options: argparse.Namespace, project: Project) -> int:
        """Go back; return the exit status."""
        return _Work(project).do(Order("rollback", options.timeout))


class ScaleCommand:
    """Another number of workers."""

    HELP: Final = "change the number of workers while they serve"
    DESCRIPTION: Final = """\
Changes the number of worker processes, 1 to 99, while they serve: it deploys, and
once that many serve it writes WORKERS into .env, so that the next start knows it as well. Where it
fails, .env is as it was and the workers that there are go on. nginx has to reload for it, and one
before 1.27.4 waits first until idle clients have come back or have gone, at most 65 s.

With NAME=N it starts or stops processes of the Procfile, and writes SCALE_NAME=N into .env."""
    EPILOG: Final = f"{_EXIT}."

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Add what the command takes."""
        parser.add_argument(
            *("numbers",), type=checked(_scaled), nargs="+", metavar="WORKERS | NAME=N",
            help="1 to 99 workers; or 0 to 99 of a name of the Procfile, such as worker=2",
        )  # fmt: skip
        _add_timeout(parser)

    @staticmethod
    def run(options: argparse.Namespace, project: Project) -> int:
        """Scale; return the exit status."""
        numbers = dict(options.numbers)
        if len(numbers) < len(options.numbers):
            raise Refused("give each number once")
        workers = numbers.pop(procfile.WEB, None)
        status = processes.scale(project, numbers) if numbers else 0
        if status or workers is None:
            return status
        project.load_env()
        for name in variables.WORKERS_NAMES:
            if name != "WORKERS" and os.environ.get(name):
                raise Refused(
                    f"{name} is set, in the environment or in .env, and goes before WORKERS, which "
                    f"this writes: change {name} there, then {program.named('deploy')}"
                )
        return _Work(project).do(Order("scale", options.timeout, workers=workers))


def _scaled(text: str) -> tuple[str, int]:
    name, is_named, number = text.rpartition("=")
    if not is_named:
        name = procfile.WEB
    least = name == procfile.WEB
    if not re.fullmatch("[1-9]?[0-9]", number, re.ASCII) or int(number) < least:
        raise ValueError(f'it is "{text}": give it, {int(least)} to 99')
    return name, int(number)
